"""Speed at which heatmap losses learn a small set: the same steps, rate and seeds for each.

The schedule is one of its own, warm-up, flat half, cosine half, and not the config's.

    python benchmarks/heatmap_losses.py --data-root DIR --by-heart --steps 360 --seeds 0 1
    python benchmarks/heatmap_losses.py --config benchmarks/configs/litehrnet_horse26.py \
        --data-root DIR --minutes 20

--by-heart trains on the training images without augmentation and tests on the same ones, without
flip test. --minutes fixes the number of steps by a trial, the same number for every loss. Validated
four times on the way. Every finished run is kept under --out and not done again. Prints a table.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from mmengine.config import Config, ConfigDict
from runs import threads_each, train
from tqdm import tqdm

from equikpt.cli.launch import parse_options
from equikpt.core.configs import find_config
from equikpt.engine.stages import start_from_scratch
from equikpt_runtime.files import write_text

VALIDATIONS = 4

# What each loss changes in a config that has a LogitHeatmapHead.
LOSSES: dict[str, dict] = {
    "focal + L1": dict(),
    "BCE": dict(loss=dict(type="FocalL1HeatmapLoss", alpha=None, gamma=0.0, l1_weight=0.0)),
    "MSE": dict(type="HeatmapHead", loss=dict(type="KeypointMSELoss", use_target_weight=True)),
    "untrained": dict(),
}


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--config", default="td-hm_litehrnet_coco-256x192", help="a name or a path")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--steps", type=int)
    length.add_argument("--minutes", type=float, help="of training, a run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=list(LOSSES))
    parser.add_argument("--by-heart", action="store_true", help="train and test on the same")
    parser.add_argument("--rate", type=float, help="learning rate (default: the config's)")
    parser.add_argument("--no-amp", action="store_true", help="float32 throughout")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, which share the cores")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/heatmap_losses"))
    parser.add_argument("--options", nargs="*", default=[], help="further key=value of the config")
    return parser.parse_args(argv)


def build_config(args, loss: str, seed: int, epochs: int) -> Config:
    """The config of one run, validated ``VALIDATIONS`` times."""
    cfg = Config.fromfile(find_config(args.config))
    cfg.merge_from_dict(parse_options(args.options))
    if cfg.get("load_from"):
        start_from_scratch(cfg)
    if args.by_heart:
        learn_by_heart(cfg)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(args.data_root.resolve()) + "/"
        loader.num_workers = 0
    head = cfg.model.head
    if loss == "MSE" and head.type != "LogitHeatmapHead":
        raise ValueError(f"expected a LogitHeatmapHead for MSE, got {head.type}; leave out MSE")
    for key, value in LOSSES[loss].items():
        head[key] = value  # whole, not merged with what was there
    cfg.randomness.seed = seed
    if args.rate is not None:
        cfg.optim_wrapper.optimizer.lr = args.rate
    if loss == "untrained":
        cfg.optim_wrapper.optimizer.update(lr=0.0, weight_decay=0.0)
    cfg.train_cfg.update(max_epochs=epochs, val_interval=math.ceil(epochs / VALIDATIONS))
    cfg.param_scheduler = [
        dict(type="LinearLR", start_factor=1e-2, by_epoch=False, begin=0, end=20),
        dict(
            type="CosineAnnealingLR", eta_min_ratio=0.05, by_epoch=True, begin=epochs // 2,
            end=epochs, T_max=epochs - epochs // 2, convert_to_iter_based=True,
        ),
    ]  # fmt: skip
    cfg.default_hooks.checkpoint.update(interval=epochs, max_keep_ckpts=1, save_best=None)
    cfg.default_hooks.logger.interval = 10
    for hook in ("early_stopping", "top_k"):
        cfg.default_hooks.pop(hook, None)
    cfg.custom_hooks = [hook for hook in cfg.custom_hooks if hook.type != "EMAHook"]
    cfg.visualizer.vis_backends = [dict(type="LocalVisBackend")]
    return cfg


def learn_by_heart(cfg: Config) -> None:
    """Train without augmentation, test on the training images without their mirror images."""
    train_set = cfg.train_dataloader.dataset
    *geometry, pack = cfg.val_dataloader.dataset.pipeline
    geometry = [step for step in geometry if step.type != "GenerateValTarget"]
    targets = [t for t in train_set.pipeline if t.type in ("GenerateTarget", "MaskUnlabelled")]
    for target in targets:
        if target.type == "GenerateTarget":
            target.encoder = cfg.model.head.decoder
    for step in train_set.pipeline:
        if step.type == "BottomupRandomAffine":  # of which the mask needs the map, but no chance
            still = {**step, "rotate_prob": 0, "scale_prob": 0, "shift_prob": 0}
            geometry = [*geometry[:-1], still]
    train_set.pipeline = [*geometry, *targets, pack]
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.update(
            {key: train_set[key] for key in ("ann_file", "data_prefix") if key in train_set}
        )
    cfg.model.test_cfg.flip_test = False


def run_one(args, loss: str, seed: int, steps: int) -> dict:
    """One run of the table, read from disk where it is there already."""
    folder = args.out / f"{loss.replace(' + ', '_')}_{seed}_{steps}steps"
    done = folder / "result.json"
    if done.is_file():
        return json.loads(done.read_text())
    epochs = math.ceil(steps / epoch_steps(args))
    epochs += -epochs % VALIDATIONS
    if loss == "untrained":
        epochs = VALIDATIONS
    cfg = build_config(args, loss, seed, epochs)
    rows = train(cfg, folder, threads_each(args.jobs), *([] if args.no_amp else ["--amp"]))
    monitor = metric_names(cfg)
    result = dict(
        loss=loss,
        seed=seed,
        steps=max(row["step"] for row in rows if "loss" in row),
        step_s=float(np.median([row["time"] for row in rows if "loss" in row])),
        scores=[{name: row[name] for name in monitor} for row in rows if monitor[0] in row],
    )
    write_text(done, json.dumps(result))
    return result


def metric_names(cfg: Config) -> tuple[str, ...]:
    """The metrics of the table; the first is that of the whole curve."""
    evaluators = cfg.val_evaluator
    first = evaluators if isinstance(evaluators, ConfigDict) else evaluators[0]
    if first.type == "PixelAPMetric":
        return ("pixel/AP",)
    return ("coco/AP", "coco/AP .5", "coco/AP .75")


def epoch_steps(args) -> int:
    """Steps of an epoch, by the annotations that the dataset keeps."""
    from mmpose.registry import DATASETS
    from mmpose.utils import register_all_modules

    import equikpt.register  # noqa: F401 - what the config names

    register_all_modules()
    cfg = build_config(args, args.losses[0], 0, VALIDATIONS)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    return math.ceil(len(dataset) / cfg.train_dataloader.batch_size)


def steps_in(args) -> int:
    """Count the steps that ``--minutes`` are, by a trial of the first loss."""
    cfg = build_config(args, args.losses[0], 0, max(1, math.ceil(20 / epoch_steps(args))))
    cfg.default_hooks.logger.interval = 5
    arguments = ["--no-validate", *([] if args.no_amp else ["--amp"])]
    rows = train(cfg, args.out / "trial", threads_each(args.jobs), *arguments)
    return round(args.minutes * 60 / float(np.median([r["time"] for r in rows if "loss" in r][1:])))


def print_table(rows: list[dict]) -> None:
    names = list(rows[0]["scores"][0])
    curve = " → ".join(f"{100 * (i + 1) // VALIDATIONS} %" for i in range(VALIDATIONS))
    titles = ["loss", "seed", "steps", "s a step", f"{names[0]} at {curve}", *names[1:]]
    print("| " + " | ".join(titles) + " |")
    print("| --- " * (5 + len(names) - 1) + "|")
    for row in rows:
        along = " → ".join(f"{score[names[0]]:.3f}" for score in row["scores"])
        last = [f"{row['scores'][-1][name]:.3f}" for name in names[1:]]
        cells = [row["loss"], row["seed"], row["steps"], f"{row['step_s']:.2f}", along, *last]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    steps = args.steps or steps_in(args)
    cells = list(itertools.product(args.seeds, args.losses))
    with ThreadPoolExecutor(args.jobs) as pool:
        runs = pool.map(lambda cell: run_one(args, cell[1], cell[0], steps), cells)
        rows = list(tqdm(runs, total=len(cells), unit="run"))
    print_table(sorted(rows, key=lambda row: args.losses.index(row["loss"])))
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
