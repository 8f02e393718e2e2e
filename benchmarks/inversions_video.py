"""Do the frames of a video say which left–right inversions to undo?

    python benchmarks/inversions_video.py DIR [--project my_project] [--noise 0.02]

``DIR`` is the Horse-10 sample: one clip of labelled frames. Each pair of legs is followed through
the clip. In each frame it is as predicted, or exchanged, at a cost; from frame to frame its points
cost their distance. The cheapest sequence of all (Viterbi) is kept. First with swaps that are
planted in the labels, with noise, which is the control; with --project with a model's predictions.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from equikpt.evaluation.functional import left_right_inversions

LEGS = {"knee": (2, 5), "front hoof": (4, 7), "hock": (13, 18), "hind hoof": (15, 20)}
"""Near and off keypoint in Horse-10's order."""
JUMP, MAX_JUMPS = 0.1, 3.0
"""Motion from frame to frame that costs 1, as a fraction of the box, and the most that it costs."""
PLANTED = {"in single frames": (0.04, 1), "more of them": (0.1, 1), "five frames long": (0.1, 5)}
"""Rate of the swapped frames of a pair, and frames that a swap lasts."""


def follow_pairs(points: np.ndarray, side_px: np.ndarray, cost: float) -> np.ndarray:
    """Exchange pairs (T, P, 2, 2) where that makes the cheapest sequence.

    Args:
        points: Left and right of P pairs in T frames, px.
        side_px: (T,) longer side of the box.
        cost: Of a frame in which a pair is exchanged.
    """
    steady = points.copy()
    for pair in range(points.shape[1]):
        states = np.stack([points[:, pair], points[:, pair, ::-1]], axis=1)  # (T, 2, 2, 2)
        total, back = np.array([0.0, cost]), []
        for t in range(1, len(states)):
            motion = np.linalg.norm(states[t][None] - states[t - 1][:, None], axis=-1)
            jumps = np.minimum(motion / side_px[t] / JUMP, MAX_JUMPS).sum(axis=-1)
            joined = total[:, None] + jumps  # from the state before, to the state now
            back.append(joined.argmin(axis=0))
            total = joined.min(axis=0) + np.array([0.0, cost])
        state = int(total.argmin())
        for t in range(len(states) - 1, -1, -1):
            steady[t, pair] = states[t, state]
            state = int(back[t - 1][state]) if t else state
    return steady


def plant(gt: np.ndarray, rate: float, length: int, rng: np.random.Generator) -> np.ndarray:
    """Exchange pairs (T, P, 2, 2) from random frames on, ``length`` frames long."""
    starts = rng.random(gt.shape[:2]) < rate / length
    swapped = np.zeros_like(starts)
    for offset in range(length):
        swapped[offset:] |= starts[: len(starts) - offset]
    return np.where(swapped[..., None, None], gt[:, :, ::-1], gt)


def rate(points: np.ndarray, gt: np.ndarray, labelled: np.ndarray, side_px: np.ndarray) -> float:
    """Fraction of left–right inversions of (T, P, 2, 2) points."""
    count = points.shape[1] * 2
    swap = [index ^ 1 for index in range(count)]
    flat = [each.reshape(len(each), count, -1) for each in (points, gt)]
    visibility = labelled.reshape(len(labelled), count)
    return float(np.nanmean(left_right_inversions(*flat, visibility, side_px, swap)))


def predicted(
    project: str, keypoints: list[int], paths: list[Path], boxes: np.ndarray
) -> np.ndarray:
    """Near and off legs (T, P, 2, 2) by a model: its keypoints in the order of ``LEGS``."""
    from equikpt.apis import Predictor

    views = zip(paths, boxes[:, None], strict=True)
    found = np.stack([each[0].keypoints for each in Predictor(project).stream(views)])
    near, off = np.split(np.array(keypoints), 2)
    return np.stack([found[:, near], found[:, off]], axis=2)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--project", help="a project or config with its run")
    parser.add_argument(
        "--keypoints", type=int, nargs=2 * len(LEGS), default=[10, 11, 4, 5, 8, 9, 2, 3],
        help="of the model: knee, front hoof, hock and hind hoof that are near, and those far off "
        "(default: horses16, of which the clip shows the right side)",
    )  # fmt: skip
    parser.add_argument("--noise", type=float, default=0.02, help="of the planted, of the box")
    parser.add_argument("--costs", type=float, nargs="+", default=[0.1, 0.3, 1.0])
    args = parser.parse_args(argv)
    coco = json.loads((args.data / "horse.json").read_text(encoding="utf-8"))
    names = {image["id"]: args.data / image["file_name"] for image in coco["images"]}
    rows = sorted((names[each["image_id"]], each["keypoints"]) for each in coco["annotations"])
    rows = [row for row in rows if row[0].is_file()]
    keypoints = np.reshape([row[1] for row in rows], (len(rows), -1, 3))
    low, high = keypoints[..., :2].min(axis=1), keypoints[..., :2].max(axis=1)
    margin = 0.1 * (high - low).max(axis=1, keepdims=True)
    boxes = np.concatenate([low - margin, high + margin], axis=1)
    side_px = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    legs = keypoints[:, list(LEGS.values())]
    gt, labelled = legs[..., :2], legs[..., 2]
    rng = np.random.default_rng(0)
    noise = rng.normal(0, args.noise, gt.shape) * side_px[:, None, None, None]
    series = {f"planted {key}": plant(gt + noise, *value, rng) for key, value in PLANTED.items()}
    if args.project:
        paths = [row[0] for row in rows]
        series["predicted"] = predicted(args.project, args.keypoints, paths, boxes)
    for name, points in series.items():
        steady = {
            c: rate(follow_pairs(points, side_px, c), gt, labelled, side_px) for c in args.costs
        }
        after = ", ".join(f"{value:.4f} at cost {cost:g}" for cost, value in steady.items())
        print(f"{name}: {rate(points, gt, labelled, side_px):.4f} as they are, {after}")
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
