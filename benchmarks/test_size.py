"""Accuracy of a trained project by the size of the crops that it is tested on.

    python benchmarks/test_size.py PROJECT [--sizes 192 224 256] [--checkpoint FILE]

A convolutional model takes crops of any size. Each size is tested by the project's config with that
size alone changed, on the validation images, and each half of them apart: a size is chosen on one
half and read on the other.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from runs import REPO, run_tool, threads_each

import equikpt.register  # noqa: F401
from equikpt.config_checks.options import load_config
from equikpt.core.coco.file import load_coco
from equikpt.core.project import find_checkpoint
from equikpt.evaluation.functional import box_side_px, distances_px, pck_hits

SCORES = ("keypoint/PCK@0.05", "keypoint/PCK@0.1", "coco/AP", "keypoint/swapped")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[192, 224, 256])
    parser.add_argument("--checkpoint", type=Path, help="default: the project's best")
    parser.add_argument("--out", type=Path, default=REPO / "work_dirs" / "test_size")
    return parser.parse_args(argv)


def test(args: argparse.Namespace, side: int) -> dict[str, float]:
    """Scores at one size, and PCK@0.05 of both halves of the images."""
    cfg = load_config(str(args.project))
    cell = np.divide(cfg.model.head.decoder.input_size, cfg.model.head.decoder.heatmap_size)
    sizes = dict(input_size=(side, side), heatmap_size=tuple((side / cell).astype(int).tolist()))
    loaders = [cfg[f"{split}_dataloader"].dataset.codec for split in ("train", "val", "test")]
    for codec in (cfg.model.head.decoder, *loaders):
        codec.update(sizes)
    folder = args.out / args.project.resolve().name / str(side)
    folder.mkdir(parents=True, exist_ok=True)
    cfg.dump(folder / "config.py")
    weights = args.checkpoint or find_checkpoint(args.project)
    run_tool(
        "test.py", folder / "config.py", weights, "--split", "val", "--work-dir", folder,
        "--out", folder / "predictions.json", "--overwrite",
        threads=threads_each(1), log=folder / "test.log",
    )  # fmt: skip
    newest = max(folder.glob("*/*.json"), key=lambda path: path.stat().st_mtime)
    scores = json.loads(newest.read_text())
    return {name: scores[name] for name in SCORES} | halves(cfg, folder / "predictions.json")


def halves(cfg, predictions: Path) -> dict[str, float]:
    dataset = cfg.val_dataloader.dataset
    content = load_coco(Path(dataset.data_root, dataset.ann_file))
    found = {row["image_id"]: row for row in json.loads(predictions.read_text())}
    rows = [row for row in content["annotations"] if row["image_id"] in found]
    gt = np.array([row["keypoints"] for row in rows], float).reshape(len(rows), -1, 3)
    points = [found[row["image_id"]]["keypoints"] for row in rows]
    predicted = np.array(points, float).reshape(gt.shape)[..., :2]
    errors = distances_px(predicted, gt[..., :2], gt[..., 2])
    hits = pck_hits(errors, box_side_px(np.array([row["bbox"] for row in rows])), 0.05)
    return {f"half {part}": float(np.nanmean(hits[part::2])) for part in (0, 1)}


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    rows = {side: test(args, side) for side in args.sizes}
    names = list(next(iter(rows.values())))
    print(f"| side, px | {' | '.join(names)} |\n{'| --- ' * (len(names) + 1)}|")
    for side, scores in rows.items():
        print(f"| {side} | {' | '.join(f'{scores[name]:.3f}' for name in names)} |")
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
