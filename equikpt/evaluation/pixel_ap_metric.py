"""Average precision of points that are found one by one, by their distance in px."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from mmpose.registry import METRICS

from equikpt.core.columns import Column
from equikpt.evaluation.functional.ranking import average_precision
from equikpt.evaluation.presentation import Figure, Presented
from equikpt.metainfo.trained import trained_keypoints, untrained_names


def match_points(
    found: np.ndarray, scores: np.ndarray, gt: np.ndarray, radius: float
) -> np.ndarray:
    """Mark the found points (n, 2) that are right, (n,) bool.

    From the highest score (n,) down (of equal ones the first), each takes the nearest true point
    (m, 2) that is not taken yet, if it lies within the radius.
    """
    right = np.zeros(len(found), bool)
    if not len(gt):
        return right
    distances = np.linalg.norm(found[:, None] - gt[None], axis=-1)
    for index in np.argsort(-scores, kind="stable"):
        nearest = int(distances[index].argmin())
        if distances[index, nearest] <= radius:
            right[index] = True
            distances[:, nearest] = np.inf
    return right


@METRICS.register_module()
class PixelAPMetric(Presented):
    """AP of single points in whole images, by keypoint type, without grouping into instances.

    For each type and threshold all found points of all images, ranked by score, are matched
    within their image (:func:`match_points`), and :func:`average_precision` follows. Distances
    are px of the model's input, as is usual for peaks of heatmaps; 2 px of a 256 px input are 5 px
    of a 640 px image.

    Metrics, each under ``pixel/``: ``AP@2px`` and so on, means over the types that have a true
    point; ``AP``, the mean of them. ``table`` has a row for each type. A type that had no label in
    training (:mod:`equikpt.metainfo.trained`) is never found, and is in no mean; its name says so.

    Predictions: ``pred_instances`` of N points with ``keypoints`` (N, 1, 2) in px of the image,
    ``keypoint_scores`` (N, 1) and ``labels`` (N,), the keypoint type. Ground truth: all labelled
    points of the image's annotations.

    Args:
        thresholds_px: Radii, each above 0.
        log_table: Whether to log the table of types.
        **kwargs: As :class:`Presented`.

    Raises:
        ValueError: No thresholds, one that is not above 0, or a test set without a labelled point
            of a type that is trained.
    """

    default_prefix = "pixel"
    primary = "AP"
    table_title = "Types of points"
    rows_are_samples = False
    figures = {
        "AP": Figure(
            "average precision of single points, mean over the distances", "AP",
            "of single points", 3,
        ),
    }  # fmt: skip

    def __init__(
        self,
        thresholds_px: Sequence[float] = (2.0, 4.0),
        log_table: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(log_table=log_table, **kwargs)
        if not len(thresholds_px) or not min(thresholds_px) > 0:
            raise ValueError(f"expected thresholds_px above 0, got {list(thresholds_px)}")
        self.thresholds_px = tuple(thresholds_px)

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Keep each image's found and true points, in px of the input."""
        for sample in data_samples:
            to_input = np.asarray(sample["input_size"]) / np.asarray(sample["input_scale"])
            annotations = sample["raw_ann_info"] or []
            if isinstance(annotations, dict):
                annotations = [annotations]
            rows = [np.reshape(each["keypoints"], (-1, 3)) for each in annotations]
            gt = np.array([row for row in rows if row[:, 2].any()] or np.zeros((0, 0, 3)), float)
            found = sample["pred_instances"]
            self.results.append(
                dict(
                    gt=gt[..., :2] * to_input,
                    labelled=gt[..., 2] > 0,
                    found=np.reshape(found["keypoints"], (-1, 2)) * to_input,
                    scores=np.reshape(found["keypoint_scores"], -1),
                    types=np.reshape(found["labels"], -1).astype(int),
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute the AP of each type and threshold."""
        images = [result for result in results if len(result["gt"])]
        if not images:
            raise ValueError(
                f"expected labelled points, none of {len(results)} images has any; see the "
                "visibilities in the annotations"
            )
        table = pd.DataFrame(self._row(results, kind) for kind in range(images[0]["gt"].shape[1]))
        columns = [f"AP@{radius:g}px" for radius in self.thresholds_px]
        if table[columns].isna().all(axis=None):
            raise ValueError(
                "expected labelled points of keypoints that are trained, all labels here are of "
                f"those with no label in training: {', '.join(untrained_names(self.dataset_meta))}"
            )
        text = table.to_string(index=False, float_format="%.3f", na_rep="-")
        self.publish(table, f"keypoints\n{text}")
        means = {column: float(table[column].mean()) for column in columns}
        return {**means, "AP": float(np.mean(list(means.values())))}

    def _row(self, results: list[dict], kind: int) -> dict[str, str | float]:
        """Row of the table; without AP for a type that is not trained."""
        meta = self.dataset_meta or {}
        name = meta.get("keypoint_id2name", {}).get(kind, str(kind))
        trained = not meta or trained_keypoints(meta)[kind]
        labelled = [result["labelled"][:, kind] for result in results if len(result["gt"])]
        return {
            "keypoint": name if trained else f"{name} (not trained)",
            "points": int(sum(map(np.sum, labelled))),
            **{
                f"AP@{radius:g}px": self._of_type(results, kind, radius) if trained else np.nan
                for radius in self.thresholds_px
            },
        }

    @classmethod
    def columns(cls, table: pd.DataFrame) -> dict[str, Column]:
        """Every column of the table of types."""
        digits = {"points": 0}
        return {
            name: Column(name, numbers=name != "keypoint", digits=digits.get(name, 3))
            for name in map(str, table)
        }

    @staticmethod
    def _of_type(results: list[dict], kind: int, radius: float) -> float:
        right, scores, total = [], [], 0
        for result in results:
            gt = result["gt"][result["labelled"][:, kind], kind] if len(result["gt"]) else []
            of_kind = result["types"] == kind
            found, its_scores = result["found"][of_kind], result["scores"][of_kind]
            right.append(match_points(found, its_scores, np.asarray(gt), radius))
            scores.append(its_scores)
            total += len(gt)
        return average_precision(np.concatenate(right), np.concatenate(scores), total)
