"""Scores of COCO results with intervals: images are drawn with replacement, 1,000 times."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from pathlib import Path

import numpy as np
from xtcocotools.coco import COCO
from xtcocotools.cocoeval import COCOeval

from equikpt.evaluation.functional.keypoint_errors import box_side_px, distances_px

PCK = (0.05, 0.1)


def score(
    gt: Path, results: list[dict], sigmas: np.ndarray, resamples: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float, float]]:
    """AP, AP50 and PCK of one prediction per annotation.

    Args:
        gt: COCO keypoint annotations.
        results: COCO keypoint results.
        sigmas: (K,) as the annotations' keypoints.
        resamples: Bootstrap samples of images.
        seed: Of the bootstrap.

    Returns:
        Name to (score, 2.5th percentile, 97.5th percentile).
    """
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(gt))
        evaluation = COCOeval(coco, coco.loadRes(results), "keypoints", sigmas, use_area=True)
        evaluation.evaluate()
    images = evaluation.params.imgIds
    hits, labelled = _hits_by_image(gt, results, images)

    def measure(chosen: np.ndarray) -> list[float]:
        average = _average_precision(evaluation, chosen)
        counts = labelled[chosen].sum()
        return [*average, *(hits[:, chosen].sum(axis=1) / counts)]

    everything = measure(np.arange(len(images)))
    generator = np.random.default_rng(seed)
    drawn = np.array(
        [measure(generator.integers(0, len(images), len(images))) for _ in range(resamples)]
    )
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    names = ("AP", "AP50", *(f"PCK@{threshold:g}" for threshold in PCK))
    return {
        name: (float(value), float(lower), float(upper))
        for name, value, lower, upper in zip(names, everything, low, high, strict=True)
    }


def _average_precision(evaluation: COCOeval, chosen: np.ndarray) -> tuple[float, float]:
    """AP and AP50 of images by index; COCO matches within an image, so matches stay."""
    part = copy.copy(evaluation)
    count = len(evaluation.params.imgIds)
    blocks = [evaluation.evalImgs[i : i + count] for i in range(0, len(evaluation.evalImgs), count)]
    part.evalImgs = [block[index] for block in blocks for index in chosen]
    with contextlib.redirect_stdout(io.StringIO()):
        part.accumulate()
    precision = part.eval["precision"][:, :, :, 0, 0]  # (thresholds, recalls, categories)
    of_threshold = [p[p > -1].mean() if (p > -1).any() else np.nan for p in precision]
    return float(np.mean(of_threshold)), float(of_threshold[0])


def _hits_by_image(
    gt: Path, results: list[dict], images: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """(T, N) correct points and (N,) labelled points of each image."""
    annotations = json.loads(gt.read_text(encoding="utf-8"))["annotations"]
    labelled = [a for a in annotations if any(v > 0 for v in a["keypoints"][2::3])]
    index = {image: i for i, image in enumerate(images)}
    hits, counts = np.zeros((len(PCK), len(images))), np.zeros(len(images))
    for annotation, result in pair(labelled, results):
        points = np.array(annotation["keypoints"], float).reshape(-1, 3)
        predicted = np.array(result["keypoints"], float).reshape(-1, 3)
        distance = distances_px(predicted[None, :, :2], points[None, :, :2], points[None, :, 2])[0]
        side = box_side_px(np.array([annotation["bbox"]]))[0]
        counts[index[annotation["image_id"]]] += np.isfinite(distance).sum()
        for row, threshold in enumerate(PCK):
            hits[row, index[annotation["image_id"]]] += (distance <= threshold * side).sum()
    return hits, counts


def pair(annotations: list[dict], results: list[dict]) -> list[tuple[dict, dict]]:
    """Annotations with their predictions: in an image with several, in the order of both files.

    Raises:
        ValueError: An image has not as many predictions as annotations.
    """
    of_image: dict[int, list[dict]] = {}
    for result in results:
        of_image.setdefault(result["image_id"], []).append(result)
    for annotation in annotations:
        if not of_image.get(annotation["image_id"]):
            raise ValueError(
                f"expected a prediction for every annotation, got too few for image "
                f"{annotation['image_id']}; predict from the annotated boxes"
            )
    return [(a, of_image[a["image_id"]].pop(0)) for a in annotations]
