r"""Time of short trainings of a project, and the score that each ends with.

    python benchmarks/time_to_score.py PROJECT [--epochs 4 6 8] [--seeds 0 1 2] \
        [--changes mild mild+stride4] [--learning-rates 0.001 0.002] [--batch-sizes 16 8]

A run is as long as its epochs, the rate falling to its end, and is tested after the last one alone,
by the averaged weights. Seconds are those of its steps, without start, validation and test.
`half A` and `half B` are PCK@0.05 of the validation images by the hash of their source's name
(before `.rf.`): recipes are chosen on one and read on the other. Finished runs are kept under
--out. `--changes` are those of `recipe_changes.py`, several joined by a plus.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmengine.config import Config
from recipe_changes import CHANGES
from runs import REPO, run_tool, threads_each, train
from tqdm import tqdm

import equikpt.register  # noqa: F401
from equikpt.config_checks.options import load_config
from equikpt.core.coco.file import load_coco
from equikpt.evaluation.functional import box_side_px, distances_px, pck_hits

THRESHOLDS = (0.05, 0.1)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path)
    parser.add_argument("--epochs", type=int, nargs="+", default=[4, 6, 8])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--changes", nargs="+", default=["mild"], help=", ".join(CHANGES))
    parser.add_argument("--learning-rates", type=float, nargs="+", default=[1e-3])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[16])
    parser.add_argument("--out", type=Path, default=REPO / "work_dirs" / "time_to_score")
    args = parser.parse_args(argv)
    if unknown := {each for text in args.changes for each in text.split("+")} - {*CHANGES}:
        parser.error(f"expected changes of {', '.join(CHANGES)}, got {', '.join(sorted(unknown))}")
    return args


def config_for(args: argparse.Namespace, changes: str, seed: int) -> Config:
    """Config of the project with changes, validated at the end alone."""
    cfg = load_config(str(args.project))
    cfg.randomness.seed = seed
    length = cfg.train_cfg.max_epochs  # --epochs scales what counts in epochs
    cfg.train_cfg.val_interval = length
    cfg.default_hooks.checkpoint.update(interval=length, max_keep_ckpts=1, save_best=None)
    for name in ("early_stopping", "images", "training_features"):
        cfg.default_hooks.pop(name, None)
    cfg.visualizer.vis_backends = [dict(type="LocalVisBackend")]
    for name in changes.split("+"):
        CHANGES[name](cfg)
    return cfg


def scores(cfg: Config, predictions: Path) -> dict[str, float]:
    """PCK of all validation images, and PCK@0.05 of each half of them."""
    dataset = cfg.val_dataloader.dataset
    content = load_coco(Path(dataset.data_root, dataset.ann_file))
    names = {each["id"]: each["file_name"].split(".rf.")[0] for each in content["images"]}
    found = {row["image_id"]: row for row in json.loads(predictions.read_text())}
    rows = [row for row in content["annotations"] if row["image_id"] in found]
    gt = np.array([row["keypoints"] for row in rows], float).reshape(len(rows), -1, 3)
    points = [found[row["image_id"]]["keypoints"] for row in rows]
    predicted = np.array(points, float).reshape(gt.shape)[..., :2]
    errors = distances_px(predicted, gt[..., :2], gt[..., 2])
    sides = box_side_px(np.array([row["bbox"] for row in rows]))
    near, far = (pck_hits(errors, sides, threshold) for threshold in THRESHOLDS)
    digests = [hashlib.sha256(names[row["image_id"]].encode()).digest()[0] for row in rows]
    in_b = np.array(digests) % 2 == 1
    values = dict(pck05=near, pck10=far, half_a=near[~in_b], half_b=near[in_b])
    return {name: float(np.nanmean(hits)) for name, hits in values.items()}


class Cell(NamedTuple):
    """Settings in which runs differ."""

    changes: str
    rate: float
    batch: int
    epochs: int
    seed: int


def run_one(args: argparse.Namespace, cell: Cell) -> dict:
    """One run, read from disk where it is there already."""
    folder = args.out / args.project.name / "_".join(map(str, cell))
    done = folder / "result.json"
    if not done.is_file():
        cfg = config_for(args, cell.changes, cell.seed)
        rows = train(
            cfg, folder, threads_each(1), "--epochs", str(cell.epochs), "--no-verify",
            "--learning-rate", str(cell.rate), "--batch-size", str(cell.batch),
        )  # fmt: skip
        step_s = float(np.median([row["time"] for row in rows if "loss" in row]))
        dataset = cfg.train_dataloader.dataset
        samples = len(load_coco(Path(dataset.data_root, dataset.ann_file))["annotations"])
        run_tool(
            "test.py", folder / "run" / "config.py", (folder / "run" / "last.pth").resolve(),
            "--split", "val", "--work-dir", folder / "test", "--overwrite",
            "--out", folder / "predictions.json",
            threads=threads_each(1), log=folder / "test.log",
        )  # fmt: skip
        made = dict(step_s=step_s, seconds=step_s * cell.epochs * -(-samples // cell.batch))
        done.write_text(json.dumps(made | scores(cfg, folder / "predictions.json")))
    return cell._asdict() | json.loads(done.read_text())


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    choices = args.changes, args.learning_rates, args.batch_sizes, args.epochs, args.seeds
    cells = [Cell(*each) for each in itertools.product(*choices)]
    rows = [run_one(args, cell) for cell in tqdm(cells, unit="run")]
    columns = (*Cell._fields, "step_s", "seconds", "pck05", "pck10", "half_a", "half_b")
    print(f"| {' | '.join(columns)} |\n{'| --- ' * len(columns)}|")
    for row in rows:
        shown = (f"{row[name]:.4g}" if name != "changes" else row[name] for name in columns)
        print(f"| {' | '.join(shown)} |")
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
