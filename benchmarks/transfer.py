r"""Does transfer help? The same wall time for every way to start and to fine-tune.

    python benchmarks/transfer.py --data-root DIR --minutes 8 --sizes 50 150 333 --seeds 0 1

The speed with what a recipe freezes is measured first; the number of epochs follows from it, so
that a recipe with cheaper steps gets more of them. Every finished run is kept under --out and not
done again. --jobs 2 on two cores gives each run one thread, and so half of the computing in the
same minutes. Prints a table with 95 % bootstrap intervals over the validation images, and means
over the seeds.

With --pretrain a pose model of AP-10K's 17 points is trained first, and every recipe but the random
start begins with it, its head mapped to the 26 points of horse26: what published weights of animals
are to the configs. It is trained on the images of a folder, or on half of the training images
(`half`), of which the recipes then get the other half:

    python benchmarks/transfer.py --data-root DIR --pretrain half --sizes 50 166 \
        --config smoke/hrnet_w32_ap10k --recipes "random start" "one rate" "early stages frozen" \
        "layer-wise rates" "frozen + layer-wise" "stages released"
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from bootstrap import score
from mmengine.config import Config
from runs import run_tool, threads_each
from runs import train as train_run
from tqdm import tqdm

from equikpt.checkpoints import remap_file
from equikpt.core.configs import find_config
from equikpt.engine.stages import start_from_scratch
from equikpt_runtime.files import write_text

BATCH = 16
HEAD_RATE = 1e-3

# What each recipe changes in configs/td-hm_efficientnet-lite0_horse26-192x192.py. Stages of
# EfficientNet-Lite0: 0 the stem, 1 to 7 its blocks; two recipes go up to 5 and 7, for it alone.
# `phases` are (fraction of the training, frozen stages).
RECIPES: dict[str, dict] = {
    "random start": dict(random=True),
    "one rate": dict(),
    "early stages frozen": dict(frozen=2),
    "layer-wise rates": dict(module_lr_mult=dict(backbone=0.1)),
    "frozen + layer-wise": dict(frozen=2, module_lr_mult=dict(backbone=0.1)),
    "probe, then tune": dict(phases=((0.0, 7), (0.2, -1)), late_rate=0.3),
    "three phases": dict(
        phases=((0.0, 5), (0.33, 4), (0.5, 2), (0.67, 2)),
        module_lr_mult=dict(backbone=0.1),
        late_rate=0.3,
    ),
    # as configs/_base_/schedules/three_phases_300e.py
    "stages released": dict(
        phases=((0.0, 2), (0.33, 1), (0.5, 0), (0.67, 0)),
        module_lr_mult=dict(backbone=0.1),
        late_rate=0.3,
    ),
}

TRIALS: dict[int, threading.Lock] = defaultdict(threading.Lock)
"""Held while the speed with so many frozen stages is measured, which is done once."""


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=8.0, help="of training, a run")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 150, 333])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument(
        "--config", default="td-hm_efficientnet-lite0_horse26-192x192", help="a name or a path"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, help="runs at a time, which share the cores evenly"
    )
    parser.add_argument(
        "--pretrain", help="start from a pose model: folder of its data, or half of these images"
    )
    parser.add_argument("--pretrain-minutes", type=float, default=8.0, help="of its training")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/transfer"))
    parser.add_argument("--options", nargs="*", default=[], help="further --cfg-options")
    args = parser.parse_args(argv)
    args.train_file, args.start = args.data_root / "annotations/train.json", None
    return args


def write_subset(source: Path, target: Path, count: int, seed: int, skip: int = 0) -> int:
    """Write the annotations of a random subset of the images; smaller ones lie within larger."""
    coco = json.loads(source.read_text(encoding="utf-8"))
    labelled = {annotation["image_id"] for annotation in coco["annotations"]}
    images = [image for image in coco["images"] if image["id"] in labelled]
    order = np.random.default_rng(seed).permutation(len(images))[skip : skip + count]
    chosen = {images[index]["id"] for index in order}
    coco["images"] = [image for image in coco["images"] if image["id"] in chosen]
    coco["annotations"] = [a for a in coco["annotations"] if a["image_id"] in chosen]
    write_text(target, json.dumps(coco))
    return len(coco["annotations"])


def build_config(args, recipe: dict, ann_file: Path, epochs: int, steps: int, seed: int) -> Config:
    """The config of one run: ``epochs`` epochs of ``steps`` steps, validated at the end alone."""
    cfg = Config.fromfile(find_config(args.config))
    root = str(args.data_root.resolve()) + "/"
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = root
    cfg.train_dataloader.dataset.ann_file = str(ann_file.resolve())
    cfg.randomness.seed = seed
    cfg.train_cfg.update(max_epochs=epochs, val_interval=epochs)
    cfg.default_hooks.checkpoint.update(interval=epochs, max_keep_ckpts=1, save_best=None)
    cfg.default_hooks.pop("early_stopping")
    cfg.visualizer.vis_backends = [dict(type="LocalVisBackend")]
    if recipe.get("random") and (cfg.load_from or cfg.model.backbone.get("weights")):
        start_from_scratch(cfg)
    elif args.start:
        cfg.load_from = str(args.start)
        cfg.default_hooks.remap = dict(type="RemapCheckpointHook", source="ap10k")
    rates = dict(norm_decay_mult=0, bias_decay_mult=0)
    if "module_lr_mult" in recipe:
        rates["module_lr_mult"] = recipe["module_lr_mult"]
    begins = [(int(share * epochs), frozen) for share, frozen in recipe.get("phases", ())]
    if begins:
        phases = [
            dict(name=f"frozen up to {frozen}", begin=begin, frozen_stages=frozen)
            for i, (begin, frozen) in enumerate(begins)
            if i == 0 or begin > begins[i - 1][0]
        ]
        cfg.default_hooks.phases = dict(type="StageUnfreezeHook", phases=phases)
        first, last = phases[0]["frozen_stages"], phases[-1]["frozen_stages"]
    else:
        first = last = recipe.get("frozen", -1)
    cfg.model.backbone.frozen_stages = first
    cfg.optim_wrapper.paramwise_cfg = rates | dict(frozen_stages=last, frozen_at_start=first)
    cfg.optim_wrapper.optimizer.lr = HEAD_RATE
    warm_up = max(10, min(200, epochs * steps // 20))
    half = max(1, epochs // 2)
    cfg.param_scheduler = [
        dict(type="LinearLR", start_factor=1e-3, by_epoch=False, begin=0, end=warm_up),
        dict(
            type="CosineAnnealingLR", eta_min_ratio=0.02, by_epoch=True, begin=epochs - half,
            end=epochs, T_max=half, convert_to_iter_based=True,
        ),
    ]  # fmt: skip
    if "late_rate" in recipe:
        late = dict(type="MultiStepLR", milestones=[begins[-1][0]], gamma=recipe["late_rate"])
        cfg.param_scheduler.append(late)
    return cfg


def train(args, cfg: Config, folder: Path) -> dict:
    """Train in a process of its own; returns seconds and images a second."""
    options = ["--cfg-options", *args.options] if args.options else []
    rows = train_run(cfg, folder, threads_each(args.jobs), "--amp", "--no-validate", *options)
    times = [row["time"] for row in rows if "loss" in row][1:] or [rows[-1]["time"]]
    return dict(step_s=float(np.median(times)), img_s=BATCH / float(np.median(times)))


def evaluate(args, folder: Path, epochs: int) -> dict:
    predictions = folder / "val.json"
    run_tool(
        "test.py", folder / "config.py", folder / f"run/epoch_{epochs}.pth", "--split", "val",
        "--overwrite", "--out", predictions, "--work-dir", folder / "test",
        threads=threads_each(args.jobs), log=folder / "test.log",
    )  # fmt: skip
    from equikpt.metainfo.horse26 import KEYPOINTS

    sigmas = np.array([keypoint.sigma for keypoint in KEYPOINTS])
    results = json.loads(predictions.read_text())
    return score(args.data_root / "annotations/val.json", results, sigmas)


def pretrain(args) -> None:
    """Train the pose model that the recipes start from, and set ``args.start`` to it."""
    args.out = args.out / f"from_{Path(args.pretrain).name}"
    folder, root = args.out / "pretrained", args.data_root
    folder.mkdir(parents=True, exist_ok=True)
    everything = 10**9
    if args.pretrain == "half":
        count = len(json.loads(args.train_file.read_text(encoding="utf-8"))["images"]) // 2
        instances = write_subset(args.train_file, folder / "train.json", count, seed=0)
        write_subset(args.train_file, folder / "others.json", everything, seed=0, skip=count)
        args.train_file = folder / "others.json"
    else:
        root = Path(args.pretrain)
        source = root / "annotations/train.json"
        instances = write_subset(source, folder / "train.json", everything, seed=0)
    start = folder / "ap10k.pth"
    if not start.is_file():
        own = argparse.Namespace(**{**vars(args), "data_root": root, "out": folder})
        steps = math.ceil(instances / BATCH)
        step_s = expected_step_s(own, {}, folder / "train.json", steps)
        epochs = max(4, round(args.pretrain_minutes * 60 / step_s / steps))
        cfg = build_config(own, {}, folder / "train.json", epochs, steps, seed=0)
        train(own, cfg, folder)
        cfg.model.head.out_channels = 17
        cfg.dump(folder / "ap10k.py")
        trained = folder / f"run/epoch_{epochs}.pth"
        remap_file(trained, start, str(folder / "ap10k.py"), source="horse26", target="ap10k")
    args.start = start.resolve()


def expected_step_s(args, recipe: dict, ann_file: Path, steps: int) -> float:
    """Mean time of a step over the recipe's phases, by what each of them freezes.

    A trial for each number of frozen stages, once.
    """
    begins = [*recipe.get("phases", ((0.0, recipe.get("frozen", -1)),)), (1.0, None)]
    mean_s = 0.0
    for (begin, frozen), (end, _) in itertools.pairwise(begins):
        found = args.out / f"speed_frozen_{frozen}_threads_{threads_each(args.jobs)}.json"
        with TRIALS[frozen]:
            if not found.is_file():
                trial = build_config(
                    args, dict(frozen=frozen), ann_file, max(2, 30 // steps), steps, 0
                )
                trial.default_hooks.logger.interval = 5
                speed = train(args, trial, args.out / f"trial_{frozen}")
                write_text(found, json.dumps(speed))
        mean_s += (end - begin) * json.loads(found.read_text())["step_s"]
    return mean_s


def run_one(args, name: str, size: int, seed: int) -> dict:
    """One cell of the table, read from disk where it is there already."""
    slug = "".join(c if c.isalnum() else "_" for c in name)
    folder = args.out / f"{slug}_{size}_{seed}_{args.minutes:g}min_{threads_each(args.jobs)}threads"
    done = folder / "result.json"
    if done.is_file():
        return json.loads(done.read_text())
    ann_file = folder / "train.json"
    instances = write_subset(args.train_file, ann_file, size, seed)
    steps = math.ceil(instances / BATCH)
    step_s = expected_step_s(args, RECIPES[name], ann_file, steps)
    epochs = max(4, round(args.minutes * 60 / step_s / steps))
    cfg = build_config(args, RECIPES[name], ann_file, epochs, steps, seed)
    result = train(args, cfg, folder)
    result |= dict(name=name, size=size, seed=seed, epochs=epochs, steps=epochs * steps)
    result["scores"] = evaluate(args, folder, epochs)
    for checkpoint in (folder / "run").glob("*.pth"):
        if size < max(args.sizes):
            checkpoint.unlink()  # the table needs the predictions alone
    write_text(done, json.dumps(result))
    return result


def print_table(rows: list[dict]) -> None:
    names = list(rows[0]["scores"])
    print("| recipe | images | seed | steps | img/s | " + " | ".join(names) + " |")
    print("| --- " * (5 + len(names)) + "|")
    for row in rows:
        cells = [f"{v:.3f} ({low:.3f}–{high:.3f})" for v, low, high in row["scores"].values()]
        head = [row["name"], row["size"], row["seed"], row["steps"], f"{row['img_s']:.1f}"]
        print("| " + " | ".join([*map(str, head), *cells]) + " |", flush=True)


def print_means(rows: list[dict]) -> None:
    """Means over the seeds, the best recipe of each size first."""
    groups: dict[tuple[int, str], list[dict]] = defaultdict(list)
    for row in rows:
        groups[row["size"], row["name"]].append(row)
    names = list(rows[0]["scores"])
    print("\n| images | recipe | seeds | steps | img/s | " + " | ".join(names) + " |")
    print("| --- " * (5 + len(names)) + "|")
    means = {
        key: [float(np.mean([row["scores"][name][0] for row in group])) for name in names]
        for key, group in groups.items()
    }
    for size, name in sorted(groups, key=lambda key: (-key[0], -means[key][0])):
        group = groups[size, name]
        speed = np.mean([row["img_s"] for row in group])
        cells = [size, name, len(group), group[0]["steps"], f"{speed:.1f}"]
        cells += [f"{mean:.3f}" for mean in means[size, name]]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    if args.pretrain:
        pretrain(args)
    cells = [
        (n, size, seed) for size in args.sizes[::-1] for seed in args.seeds for n in args.recipes
    ]

    def run_cell(cell: tuple[str, int, int]) -> dict:
        row = run_one(args, *cell)
        scores = {key: round(value[0], 3) for key, value in row["scores"].items()}
        tqdm.write(f"{cell[0]}, {cell[1]} images, seed {cell[2]}: {scores}")
        return row

    with ThreadPoolExecutor(args.jobs) as pool:
        rows = list(tqdm(pool.map(run_cell, cells), total=len(cells), unit="run"))
    print_table(sorted(rows, key=lambda row: (row["size"], row["name"], row["seed"])))
    print_means(rows)
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
