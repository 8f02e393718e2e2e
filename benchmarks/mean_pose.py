"""The control that every trained model must beat: the mean pose of the training set in each box.

    python benchmarks/mean_pose.py --data-root data

For every keypoint the mean position inside the annotated box, over the training annotations that
label it, is predicted for every validation box. It knows where horses keep their legs, and
nothing about the image. Prints COCO AP, AP50, PCK and the mean error in px. AP has the sigmas of
the keypoint set: the one that is given, a project's own beside its data, or horse26.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--train", default="annotations/train.json")
    parser.add_argument("--val", default="annotations/val.json")
    parser.add_argument("--pck", type=float, nargs="+", default=[0.05, 0.1])
    parser.add_argument("--metainfo", type=Path, metavar="keypoints.py", help="for the sigmas")
    return parser.parse_args(argv)


def labelled_annotations(path: Path) -> list[dict]:
    if not path.is_file():
        raise FileNotFoundError(
            f"expected annotations at {path}, found no such file; name the folder by --data-root"
        )
    annotations = json.loads(path.read_text())["annotations"]
    return [a for a in annotations if any(v > 0 for v in a["keypoints"][2::3])]


def mean_pose(annotations: list[dict]) -> np.ndarray:
    """(K, 2) mean position of each keypoint as a fraction of the box; the centre if unlabelled."""
    keypoints = np.array([a["keypoints"] for a in annotations], float).reshape(
        len(annotations), -1, 3
    )
    boxes = np.array([a["bbox"] for a in annotations], float)
    coords = (keypoints[..., :2] - boxes[:, None, :2]) / boxes[:, None, 2:]
    labelled = keypoints[..., 2] > 0
    total = np.where(labelled[..., None], coords, 0).sum(axis=0)
    counts = labelled.sum(axis=0)[:, None]
    return np.where(counts > 0, total / np.maximum(counts, 1), 0.5)


def predict(pose: np.ndarray, annotation: dict) -> dict:
    box = np.asarray(annotation["bbox"], float)
    points = box[:2] + pose * box[2:]
    triples = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    return dict(
        image_id=annotation["image_id"],
        category_id=annotation["category_id"],
        keypoints=triples.ravel().tolist(),
        score=1.0,
    )


def coco_metrics(gt: Path, results: list[dict], sigmas: np.ndarray) -> dict[str, float]:
    import contextlib
    import io

    from xtcocotools.coco import COCO
    from xtcocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(gt))
        evaluation = COCOeval(coco, coco.loadRes(results), "keypoints", sigmas, use_area=True)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {"coco/AP": evaluation.stats[0], "coco/AP .5": evaluation.stats[1]}


def sigmas_of(data_root: Path, metainfo: Path | None, num_keypoints: int) -> np.ndarray:
    """(K,) sigmas of the keypoint set of the labels."""
    from equikpt.metainfo import horse26, read_keypoint_set

    own = metainfo or data_root.resolve().parent / "keypoints.py"
    known = read_keypoint_set(own) if metainfo or own.is_file() else horse26.METAINFO
    if len(known["sigmas"]) != num_keypoints:
        raise ValueError(
            f"expected {len(known['sigmas'])} keypoints as in {known['dataset_name']}, the labels "
            f"have {num_keypoints}; give their keypoint set by --metainfo"
        )
    return np.array(known["sigmas"])


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    from equikpt.evaluation.functional.keypoint_errors import box_side_px, distances_px

    pose = mean_pose(labelled_annotations(args.data_root / args.train))
    annotations = labelled_annotations(args.data_root / args.val)
    results = [predict(pose, annotation) for annotation in annotations]
    sigmas = sigmas_of(args.data_root, args.metainfo, len(pose))
    metrics = coco_metrics(args.data_root / args.val, results, sigmas)
    gt = np.array([a["keypoints"] for a in annotations], float).reshape(len(annotations), -1, 3)
    predicted = np.array([r["keypoints"] for r in results]).reshape(gt.shape)
    distance = distances_px(predicted[..., :2], gt[..., :2], gt[..., 2])
    side = box_side_px(np.array([a["bbox"] for a in annotations]))
    labelled = np.isfinite(distance)
    for threshold in args.pck:
        hits = (distance <= threshold * side[:, None])[labelled]
        metrics[f"keypoint/PCK@{threshold:g}"] = hits.mean()
    metrics["keypoint/error_px"] = distance[labelled].mean()
    for name, value in metrics.items():
        print(f"{name:<20} {value:8.3f}")
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
