"""Keypoints that are found at the other side's, by the side from which the animal is seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmpose.registry import METRICS

from equikpt.core.columns import Column
from equikpt.core.groups import GroupRule
from equikpt.evaluation.functional.bootstrap import RESAMPLES, cluster_numbers
from equikpt.evaluation.functional.inversions import (
    EVERY_VIEW,
    inversion_table,
    left_right_pairs,
    views_of,
)
from equikpt.evaluation.functional.keypoint_errors import box_side_px, left_right_inversions
from equikpt.evaluation.functional.keypoint_measures import format_table
from equikpt.evaluation.presentation import Figure, Presented
from equikpt.metainfo.trained import trained_keypoints


@METRICS.register_module()
class InversionMetric(Presented):
    r"""Left–right inversions: points that miss their keypoint and hit the other side's.

    To hit is to lie within a tenth of the annotated box's longer side; tried are the points that
    are labelled on both sides. The view is read off the labelled pose (:func:`views_of`), for any
    keypoint set with flip pairs; where all instances have one view, there is one row, ``all``.

    Metrics: ``inversion/all`` and, with several views, ``inversion/side``, ``inversion/front``,
    ``inversion/rear`` and ``inversion/other``: the fraction of points. ``table`` has the counts and
    95 % bootstrap intervals. A set without pairs has no value.

    Args:
        group_key: Key of the annotations that names what the bootstrap draws as a whole, such as a
            horse; see ``KeypointMetric``.
        group_regex: The same from the image's path, such as ``([^/]+)\.rf\.`` for copies of one
            image; without both, images are drawn.
        resamples: Bootstrap samples; 0 gives no intervals.
        seed: Of the bootstrap.
        **kwargs: As :class:`Presented`.

    Raises:
        ValueError: Negative ``resamples``, or a data sample without group or ground truth of its
            own (bottom-up).
    """

    default_prefix = "inversion"
    table_title = "Left–right inversions by view"
    rows_are_samples = False
    figures = {
        EVERY_VIEW: Figure(
            "left–right inversions, % of points with both sides labelled", digits=1, scale=100,
            unit=" %",
        )
    }  # fmt: skip

    shown_columns = {
        "view": Column("View", numbers=False),
        "instances": Column("Instances"),
        "points": Column("Points"),
        "inverted": Column("Inverted"),
        "rate": Column("Rate", digits=3),
        "rate_low": Column("95 % from", digits=3),
        "rate_high": Column("to", digits=3),
    }

    def __init__(
        self,
        group_key: str = "",
        group_regex: str = "",
        resamples: int = RESAMPLES,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if resamples < 0:
            raise ValueError(f"expected resamples of 0 (no intervals) or more, got {resamples}")
        self.rule = GroupRule(group_key, group_regex)
        self.resamples = resamples
        self.seed = seed

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Keep each instance's prediction and ground truth."""
        for sample in data_samples:
            annotation = self.annotation_of(sample)
            gt = np.asarray(annotation["keypoints"], float).reshape(-1, 3)
            image = Path(sample.get("img_path", "")).as_posix()
            self.results.append(
                dict(
                    predicted=np.asarray(sample["pred_instances"]["keypoints"], float)[0],
                    gt=gt[:, :2],
                    visibility=gt[:, 2],
                    box=np.asarray(annotation["bbox"], float),
                    group=self.rule.group(image, annotation),
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Count over all instances and by view; set ``table``."""
        predicted, gt, visibility, boxes = (
            np.stack([result[key] for result in results])
            for key in ("predicted", "gt", "visibility", "box")
        )
        meta, count = self.dataset_meta, gt.shape[1]
        names = [meta["keypoint_id2name"][index] for index in range(count)]
        swap = meta.get("flip_indices", range(count))
        predicted[:, ~trained_keypoints(meta)] = np.nan
        inverted = left_right_inversions(predicted, gt, visibility, box_side_px(boxes), swap)
        views = views_of(gt, visibility, left_right_pairs(names, swap))
        clusters = cluster_numbers([result["group"] for result in results])
        table = inversion_table(inverted, views, clusters, self.resamples, self.seed)
        self.publish(table, f"left–right inversions\n{format_table(table)}")
        return dict(zip(table["view"], table["rate"], strict=True))

    def summary(self) -> str:
        """Table of the views."""
        return "" if self.table is None or self.table.empty else format_table(self.table)

    @classmethod
    def figure(cls, name: str) -> Figure:
        """Describe a value by its name without prefix."""
        return cls.figures.get(name, Figure(f"left–right inversions, fraction, view: {name}"))
