"""Per-keypoint truth: average precision, PCK and pixel error of every keypoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmpose.registry import METRICS

from equikpt.evaluation.keypoint_errors import (
    box_side_px,
    distances_px,
    keypoint_ap,
    keypoint_similarity,
    pck,
)
from equikpt.files import write_text


@METRICS.register_module()
class KeypointReport(BaseMetric):
    """Error, PCK and AP of each keypoint, for top-down estimation from given boxes.

    Distances are px of the original picture, over labelled points (visibility 1 and 2). PCK is
    normalised by the longer side of the annotated box. AP is COCO's, computed for one keypoint at
    a time and ranked by that keypoint's score.

    Metrics: ``keypoint/PCK@t`` (mean over labelled points), ``keypoint/error_px`` (mean) and
    ``keypoint/median_error_px``.

    Args:
        pck_thresholds: Fractions of the box's longer side.
        log_table: Whether to log the table of keypoints.
        out_file: CSV file for that table; None writes none.
        collect_device: As in ``BaseMetric``.
        prefix: As in ``BaseMetric``.

    Raises:
        ValueError: Thresholds that are not positive, a data sample without truth, or several
            predictions for one sample (bottom-up).
    """

    default_prefix = "keypoint"

    def __init__(
        self,
        pck_thresholds: Sequence[float] = (0.05, 0.1),
        log_table: bool = False,
        out_file: str | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if not pck_thresholds or min(pck_thresholds) <= 0:
            raise ValueError(
                f"expected pck_thresholds above 0, fractions of the box's longer side such as 0.1, "
                f"got {list(pck_thresholds)}"
            )
        self.pck_thresholds = tuple(pck_thresholds)
        self.log_table = log_table
        self.out_file = out_file
        self.table: pd.DataFrame | None = None

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Keep each instance's prediction and truth."""
        for sample in data_samples:
            annotation = sample.get("raw_ann_info")
            if not isinstance(annotation, dict):
                raise ValueError(
                    "expected one annotation a sample in raw_ann_info (top-down data from an "
                    f"annotation file), got {type(annotation).__name__}; use CocoMetric alone for "
                    "bottom-up data or detected boxes"
                )
            prediction = sample["pred_instances"]
            truth = np.asarray(annotation["keypoints"], float).reshape(-1, 3)
            self.results.append(
                dict(
                    predicted=np.asarray(prediction["keypoints"], float)[0],
                    scores=np.asarray(prediction["keypoint_scores"], float)[0],
                    truth=truth[:, :2],
                    visibility=truth[:, 2],
                    box=np.asarray(annotation["bbox"], float),
                    area=float(annotation["area"]),
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Sum up over all instances; sets ``table``, logs and writes it as configured."""
        stacked = {key: np.stack([result[key] for result in results]) for key in results[0]}
        distance = distances_px(stacked["predicted"], stacked["truth"], stacked["visibility"])
        side = box_side_px(stacked["box"])
        similarity = keypoint_similarity(distance, stacked["area"], self.dataset_meta["sigmas"])
        self.table = self._table(distance, side, keypoint_ap(similarity, stacked["scores"]))
        if self.log_table:
            text = self.table.to_string(index=False, float_format="%.3f", na_rep="-")
            MMLogger.get_current_instance().info(f"keypoint report\n{text}")
        if self.out_file:
            write_text(Path(self.out_file), self.table.to_csv(index=False, float_format="%.6g"))
        labelled = np.isfinite(distance)
        metrics = {
            f"PCK@{threshold:g}": float((distance <= threshold * side[:, None])[labelled].mean())
            for threshold in self.pck_thresholds
        }
        metrics["error_px"] = float(distance[labelled].mean())
        metrics["median_error_px"] = float(np.median(distance[labelled]))
        return metrics

    def _table(self, distance: np.ndarray, side: np.ndarray, ap: np.ndarray) -> pd.DataFrame:
        """One row a keypoint: how often labelled, AP, PCK, mean and median error in px."""
        labelled = np.isfinite(distance)
        names = self.dataset_meta["keypoint_id2name"]
        rows = []
        for index in range(distance.shape[1]):
            errors = distance[labelled[:, index], index]
            row = {"keypoint": names[index], "labelled": len(errors), "AP": ap[index]}
            for threshold in self.pck_thresholds:
                row[f"PCK@{threshold:g}"] = pck(distance[:, [index]], side, threshold)[0]
            row["error_px"] = errors.mean() if len(errors) else np.nan
            row["median_error_px"] = np.median(errors) if len(errors) else np.nan
            rows.append(row)
        return pd.DataFrame(rows)
