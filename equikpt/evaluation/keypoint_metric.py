"""Average precision, PCK and error of every keypoint, and of parts of a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mmpose.registry import METRICS
from tqdm import tqdm

from equikpt.core.groups import GroupRule
from equikpt.core.tables import frame_text
from equikpt.evaluation.functional.bootstrap import cluster_numbers
from equikpt.evaluation.functional.keypoint_measures import (
    EVERY_KEYPOINT,
    KeypointMetrics,
    PosePredictions,
    format_table,
    without_intervals,
)
from equikpt.evaluation.presentation import Figure, Presented
from equikpt.metainfo.trained import trained_keypoints
from equikpt_runtime.files import write_text

VISIBILITIES = {"hidden": 1, "seen": 2}
SUFFIXES = (".csv", ".json")


@METRICS.register_module()
class KeypointMetric(Presented):
    """Error, PCK and AP of each keypoint, for top-down estimation from given boxes.

    Distances are px of the original image, over labelled points (visibility 1 and 2). PCK is
    normalised by the longer side of the annotated box. AP is COCO's, computed for one keypoint at a
    time and ranked by that keypoint's score. Columns: :class:`KeypointMetrics`.

    Metrics: ``keypoint/PCK@t`` (mean over labelled points), ``keypoint/error_px`` (mean),
    ``keypoint/median_error_px``, ``keypoint/error`` (mean, as a fraction of the box's longer side)
    and, where keypoints have sides, ``keypoint/swapped``: the fraction of points that were found
    at the other side's.

    A keypoint that had no label in training (:mod:`equikpt.metainfo.trained`) has no prediction,
    and its labels are in none of these values. In COCO's AP, of whole poses, they count as missed.

    ``table`` has a row a keypoint. ``parts`` has the same rows and one over all keypoints for the
    whole set, for hidden and for seen points and for each group, with the columns ``part`` and
    ``name`` before them. Where some keypoints are not trained, both have a column ``trained``.

    Args:
        pck_thresholds: Fractions of the box's longer side.
        parts_file: CSV or JSON file for ``parts``; None writes none.
        group_key: Key of the annotations that names the group, such as a horse.
        group_regex: Regular expression, searched in the image's path, whose first parentheses hold
            the group, such as a video; instead of a key. Without both, images are drawn by the
            bootstrap and groups are not told apart.
        resamples: Bootstrap samples for 95 % intervals in ``parts``, which draw whole groups, and
            within a group its images; 0 gives none. 1,000 take some seconds.
        seed: Of the bootstrap.
        **kwargs: As :class:`Presented`; the log has the rows over all keypoints of ``parts``, too.

    Raises:
        ValueError: Thresholds that are not positive, negative ``resamples``, a file that is neither
            CSV nor JSON, or a data sample without group or ground truth of its own (bottom-up).
    """

    default_prefix = "keypoint"
    figures = {
        "error": Figure(
            "mean distance from the ground truth, % of the box's longer side", digits=1, scale=100,
            unit=" %",
        ),
        "error_px": Figure("mean distance, px of the image"),
        "median_error_px": Figure("median distance, px of the image"),
        "swapped": Figure(
            "found at the other side, % of points with both sides labelled", digits=1,
            scale=100, unit=" %",
        ),
    }  # fmt: skip

    def __init__(
        self,
        pck_thresholds: Sequence[float] = (0.05, 0.1, 0.2),
        parts_file: str | None = None,
        group_key: str = "",
        group_regex: str = "",
        resamples: int = 0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not pck_thresholds or min(pck_thresholds) <= 0:
            raise ValueError(
                f"expected pck_thresholds above 0, fractions of the box's longer side such as 0.1, "
                f"got {list(pck_thresholds)}"
            )
        if parts_file is not None and Path(parts_file).suffix not in SUFFIXES:
            raise ValueError(f"expected parts_file to end in .csv or .json, got {parts_file}")
        if resamples < 0:
            raise ValueError(f"expected resamples of 0 (no intervals) or more, got {resamples}")
        self.pck_thresholds = tuple(pck_thresholds)
        self.parts_file = parts_file
        self.rule = GroupRule(group_key, group_regex)
        self.resamples = resamples
        self.seed = seed
        self.parts: pd.DataFrame | None = None

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Keep each instance's prediction and ground truth."""
        for sample in data_samples:
            annotation = self.annotation_of(sample)
            prediction = sample["pred_instances"]
            gt = np.asarray(annotation["keypoints"], float).reshape(-1, 3)
            image = Path(sample.get("img_path", "")).as_posix()
            self.results.append(
                dict(
                    predicted=np.asarray(prediction["keypoints"], float)[0],
                    scores=np.asarray(prediction["keypoint_scores"], float)[0],
                    gt=gt[:, :2],
                    visibility=gt[:, 2],
                    boxes=np.asarray(annotation["bbox"], float),
                    areas=float(annotation["area"]),
                    image=image,
                    group=self.rule.group(image, annotation),
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Sum up over all instances; set ``table`` and ``parts``."""
        pose = PosePredictions(
            *(
                np.stack([result[field.name] for result in results])
                for field in fields(PosePredictions)
            )
        )
        pose.predicted[:, ~trained_keypoints(self.dataset_meta)] = np.nan
        self.parts = self._parts(pose, results)
        whole = self.parts[self.parts["part"] == "all"].drop(columns=["part", "name"])
        values = without_intervals(whole)
        rows = self.parts[self.parts["keypoint"] == EVERY_KEYPOINT]
        over_all = rows.drop(columns=["keypoint", "trained"], errors="ignore")
        self.publish(
            values[values["keypoint"] != EVERY_KEYPOINT],
            "\n".join(
                [
                    f"keypoint report\n{format_table(whole)}",
                    *_untrained_sentences(whole),
                    f"\n{format_table(over_all)}",
                ]
            ),
        )
        if self.parts_file:
            is_json = self.parts_file.endswith(".json")
            text = self.parts.to_json(orient="records", indent=1) if is_json else None
            write_text(Path(self.parts_file), text or frame_text(self.parts))
        metrics = (
            values.iloc[-1]
            .drop(["keypoint", "labelled", "AP", "trained"], errors="ignore")
            .to_dict()
        )
        if np.isnan(metrics["swapped"]):
            del metrics["swapped"]
        return {name: float(value) for name, value in metrics.items()}

    def summary(self) -> str:
        """Table of the keypoints, and a sentence on those that are not trained."""
        if self.table is None:
            return ""
        return "\n".join([format_table(self.table), *_untrained_sentences(self.table)])

    @classmethod
    def figure(cls, name: str) -> Figure:
        """Describe a value by its name without prefix."""
        if name.startswith("PCK@"):
            return Figure(f"fraction of points within {name[4:]} of the box's longer side")
        return super().figure(name)

    def _parts(self, pose: PosePredictions, results: list[dict]) -> pd.DataFrame:
        """The rows of every part, one below the other."""
        meta, count = self.dataset_meta, pose.gt.shape[1]
        names = tuple(meta["keypoint_id2name"][index] for index in range(count))
        sigmas, swap = np.asarray(meta["sigmas"], float), meta.get("flip_indices", range(count))
        image, group = (
            cluster_numbers([result[key] for result in results]) for key in ("image", "group")
        )
        parts: list[tuple[str, str, PosePredictions, np.ndarray, int | None]] = [
            ("all", "", pose, group, None),
            *(("visibility", name, pose, group, value) for name, value in VISIBILITIES.items()),
        ]
        if self.rule != GroupRule():
            for number, name in enumerate(sorted({result["group"] for result in results})):
                inside = group == number
                clusters = cluster_numbers(image[inside].astype(str))
                parts.append(("group", name, pose.instances(inside), clusters, None))
        trained, tables = trained_keypoints(meta), []
        for part, name, some, clusters, value in tqdm(parts, "parts", delay=5, disable=None):
            measures = KeypointMetrics(some, self.pck_thresholds, names, sigmas, swap, value)
            table = measures.table(clusters, self.resamples, self.seed)
            table.insert(0, "part", part)
            table.insert(1, "name", name)
            if not trained.all():
                table["trained"] = [*trained.tolist(), True]
            tables.append(table)
        return pd.concat(tables, ignore_index=True)


def _untrained_sentences(table: pd.DataFrame) -> list[str]:
    """Say which keypoints are not trained, and what becomes of their labels; mostly nothing."""
    rows = table[~table["trained"]] if "trained" in table else table[:0]
    if rows.empty:
        return []
    sentence = f"no label in training, and never output: {', '.join(rows['keypoint'])}"
    if count := rows["labelled"].sum():
        sentence += f"; their {count} labels here count as missed in COCO's AP, and nowhere else"
    return [sentence]
