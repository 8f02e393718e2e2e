"""Variants of a network that counts by pointing: the same epochs and seed for each variant.

    python benchmarks/counting.py --data-root DIR --epochs 12
    python benchmarks/counting.py --data-root DIR --checkpoint RUN/best_val_loss_epoch_20.pth

Each variant changes one thing of the config. Every finished run is kept under --out and not done
again. Prints F1 and count of sequences that end as configured, beside always answering the mean of
the training images and beside the sum of the first map; F1 of sequences that are given the true
number; how often steps that are given the true points are right about done and about going on; how
often sequences of N points and of fewer, given the true points and given their own, have rightly
ended; and how far a step is from what it should have pointed at, given the true points and given
its own. --checkpoint measures a network that is trained already.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from runs import threads_each, train
from tqdm import tqdm

from equikpt.cli.launch import parse_options
from equikpt.config_checks.schedule import scale_schedule
from equikpt.core.configs import find_config, strip_pretrained_init
from equikpt.evaluation.counting_metric import compare, summarise
from equikpt.models.step_targets import ending
from equikpt_runtime.files import write_text
from equikpt_runtime.instance import points_before

RADIUS_PX = 20.0
BATCH_SIZE = 8

# What each variant changes, as --cfg-options; `encoder.` stands for the codec wherever it is.
VARIANTS: dict[str, list[str]] = {
    "as configured": [],
    "funnel as published": ["model.head.loss.tail=published"],
    "done weight 1": ["model.head.done_weight=1.0"],
    "done by steps": ["model.head.done_balance=steps"],
    "done by sampled steps": ["model.head.done_balance=sampled"],
    "true points alone": ["model.head.scheduled_sampling_prob=0.0"],
    "own points alone": ["model.head.scheduled_sampling_prob=1.0"],
    "number untrained": ["model.head.count_weight=0.0"],
    "next in reading order": [
        "model.head.target=next",
        "model.head.scheduled_sampling_prob=0.0",
        "encoder.order=reading",
    ],
    "backbone at a tenth": ["optim_wrapper.paramwise_cfg.module_lr_mult.backbone=0.1"],
    "true points without noise": ["noise=0.0"],
}


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, required=True, help="in FSC-147's layout")
    parser.add_argument(
        "--config", default="sequential_efficientnet-lite0_fsc147-384x384", help="a name or a path"
    )
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--checkpoint", type=Path, help="measure this one, train nothing")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/counting"))
    return parser.parse_args(argv)


def base_config(args) -> Config:
    cfg = Config.fromfile(find_config(args.config))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(args.data_root.resolve()) + "/"
        loader.num_workers = 0
    return cfg


def build_config(args, variant: str) -> Config:
    """The config of one run: its schedule, scaled to so many epochs, validated at the end alone."""
    cfg = base_config(args)
    for option in VARIANTS[variant]:
        change(cfg, option)
    scale_schedule(cfg, args.epochs)
    cfg.randomness.seed = args.seed
    cfg.train_cfg.val_begin = args.epochs
    cfg.default_hooks.checkpoint.update(interval=args.epochs, max_keep_ckpts=1, save_best=None)
    cfg.default_hooks.pop("early_stopping", None)
    cfg.visualizer.vis_backends = [dict(type="LocalVisBackend")]
    return cfg


def change(cfg: Config, option: str) -> None:
    """Apply one option of :data:`VARIANTS`."""
    key, value = option.split("=")
    if key.startswith("encoder."):
        loaders = (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader)
        for codec in (cfg.model.head.decoder, *(loader.dataset.codec for loader in loaders)):
            codec[key.removeprefix("encoder.")] = value
    elif key == "noise":
        (hook,) = (hook for hook in cfg.custom_hooks if hook.type == "TeacherForcingNoiseHook")
        hook.sigma = float(value)
    else:
        cfg.merge_from_dict(parse_options([option]))


def measure(cfg: Config, checkpoint: Path) -> dict[str, float]:
    """F1, count and distances of the network on the validation images."""
    from mmpose.registry import MODELS

    init_default_scope("mmpose")
    cfg = cfg.copy()
    strip_pretrained_init(cfg.model)
    model = MODELS.build(cfg.model).eval()
    load_checkpoint(model, str(checkpoint), map_location="cpu", strict=True)
    threshold = model.head.done_threshold
    model.head.done_threshold = 2.0  # never stops: its end is found afterwards
    found = images_of(model, cfg)
    numbers = np.array([len(each["gt"]) for each in found])
    totals = np.array([each["total"] for each in found])
    forced, free = (np.concatenate([each[key] for each in found]) for key in ("forced", "free"))
    done, going = recalls(found, "forced_done", 0.5)
    over, not_over = recalls(found, "forced_over", threshold)
    free_over, free_not_over = recalls(found, "over", threshold)
    scores = scores_of(found, [stopped(each, threshold) for each in found])
    names = ("F1", "precision", "recall", "count_MAE", "duplicates")
    return {name: scores[name] for name in names} | dict(
        count_bias=float(np.mean([stopped(each, threshold) for each in found] - numbers)),
        mean_count_MAE=float(np.abs(numbers - mean_count(cfg)).mean()),
        first_map_MAE=float(np.abs(totals - numbers).mean()),
        told_F1=scores_of(found, numbers)["F1"],
        done=done,
        going=going,
        forced_over=over,
        forced_not_over=not_over,
        free_over=free_over,
        free_not_over=free_not_over,
        forced_px=float(np.median(forced)),
        free_px=float(np.median(free)),
        forced_within=float((forced <= RADIUS_PX).mean()),
        free_within=float((free <= RADIUS_PX).mean()),
    )


def mean_count(cfg: Config) -> float:
    """Mean number of points of the training images."""
    from mmpose.registry import DATASETS

    dataset = DATASETS.build({**cfg.val_dataloader.dataset, "split": "train"})
    records = (dataset.get_data_info(index) for index in range(len(dataset)))
    return float(np.mean([record["keypoints"].shape[1] for record in records]))


@torch.no_grad()
def images_of(model, cfg: Config) -> list[dict]:
    """Ground truth, sequence and both kinds of error of each image, in px of the input."""
    from mmpose.registry import DATASETS

    np.random.seed(0)  # noqa: NPY002 - from it codecs draw the order of the points
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    half = np.array(model.head.decoder.input_size) / 2
    images = []
    for start in tqdm(range(0, len(dataset), BATCH_SIZE), desc="val", disable=None):
        items = [dataset[index] for index in range(start, min(start + BATCH_SIZE, len(dataset)))]
        batch = model.data_preprocessor(pseudo_collate(items), False)
        feats = model.extract_feat(batch["inputs"])
        sequence = model.head.teacher_forced_targets(feats, batch["data_samples"])
        away = ((sequence.steps.coords - sequence.target).numpy() * half).astype(float)
        logits, total = sequence.steps.done_logits, sequence.steps.count_left[:, :1]
        forced_over = 1 - (1 - ending(logits, total, model.head.done_balance)).cumprod(dim=1)
        coords, _, over = (part.numpy() for part in model.head(feats))
        for row in range(len(items)):
            number = int(sequence.has_target[row].sum())
            gt = (sequence.points[row, :number].numpy() + 1) * half
            points = (coords[row] + 1) * half
            images.append(
                dict(
                    gt=gt,
                    points=points,
                    over=over[row],
                    total=total[row].item(),
                    forced=np.linalg.norm(away[row, :number], axis=1),
                    free=free_running(gt, points[:number]),
                    forced_done=logits[row, : number + 1].sigmoid().numpy(),
                    forced_over=forced_over[row, : number + 1].numpy(),
                )
            )
    return images


def free_running(gt: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distance of each point from the nearest true one that none before it has taken, (N,)."""
    left, distances = list(range(len(gt))), []
    for point in points:
        apart = np.linalg.norm(gt[left] - point, axis=1)
        distances.append(apart.min())
        left.pop(int(apart.argmin()))
    return np.array(distances)


def stopped(image: dict, threshold: float) -> int:
    """Count the points of a sequence that ends at the first step at or above the threshold."""
    return points_before(image["over"], threshold)


def scores_of(images: list[dict], numbers: Iterable[int]) -> dict[str, float]:
    """Score sequences of so many points each."""
    rows = []
    for image, number in zip(images, numbers, strict=True):
        unsaid = np.zeros(number + 1, bool)
        row = compare(image["gt"], image["points"][:number], unsaid, RADIUS_PX)
        del row["distances_px"]
        rows.append(dict(row, image="", path=""))
    return summarise(pd.DataFrame(rows))


def recalls(images: list[dict], key: str, threshold: float) -> tuple[float, float]:
    """Fractions of the steps after N points at or above the threshold, and before them below it."""
    said = [each[key][: len(each["gt"]) + 1] >= threshold for each in images]
    return float(np.mean([each[-1] for each in said])), float(
        1 - np.concatenate([each[:-1] for each in said]).mean()
    )


def run_one(args, variant: str) -> dict[str, float]:
    """One run of the table, read from disk where it is there already."""
    folder = args.out / f"{variant.replace(' ', '_')}_{args.seed}_{args.epochs}epochs"
    done = folder / "result.json"
    if done.is_file():
        return json.loads(done.read_text())
    cfg = build_config(args, variant)
    checkpoint = folder / f"run/epoch_{args.epochs}.pth"
    if not checkpoint.is_file():
        train(cfg, folder, threads_each(1), "--amp", "--no-validate")
    result = measure(cfg, checkpoint)
    write_text(done, json.dumps(result))
    return result


def print_table(rows: dict[str, dict[str, float]]) -> None:
    table = pd.DataFrame(rows).T
    table.insert(0, "variant", list(table.index))
    print("| " + " | ".join(table.columns) + " |")
    print("| --- " * len(table.columns) + "|")
    for row in table.itertuples(index=False):
        cells = [value if isinstance(value, str) else f"{value:.3g}" for value in row]
        print("| " + " | ".join(cells) + " |", flush=True)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    import equikpt.register  # noqa: F401 - what the config names

    if args.checkpoint:
        print_table({args.checkpoint.stem: measure(base_config(args), args.checkpoint)})
        return 0
    bar = tqdm(args.variants, unit="run", disable=None)
    print_table({variant: run_one(args, variant) for variant in bar})
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
