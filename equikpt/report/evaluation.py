"""Result of a run's test, as a file beside its report: nothing is computed twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from equikpt.evaluation.functional.bootstrap import RESAMPLES
from equikpt.evaluation.functional.keypoint_measures import EVERY_KEYPOINT, PosePredictions
from equikpt.evaluation.keypoint_metric import KeypointMetric
from equikpt.metainfo.trained import trained_keypoints
from equikpt_runtime.files import write_text

FORMAT = 3
DRAWN = (
    "dataset_name",
    "radiographs",
    "unnamed",
    "num_keypoints",
    "keypoint_colors",
    "skeleton_links",
    "skeleton_link_colors",
    "sigmas",
    "flip_indices",
    "trained_keypoints",
)
"""Parts of MMPose's parsed metainfo that drawing and measuring need."""


class Sample(msgspec.Struct, frozen=True):
    """One tested instance, or one image where the model finds any number in it.

    Args:
        image: Path.
        group: Of the images that belong together; the image itself where none are known.
        predicted: (M, K, 2) px of the original image.
        scores: (M, K)
        gt: (N, K, 3) px and COCO visibility.
        boxes: (N, 4) x, y, width, height in px; empty where there are none.
        areas: (N,) px²; empty where there are none.
        kinds: (M,) the keypoint of each prediction where single points are found (K = 1); else
            empty.
        radii: (M, K) px of the original image, that hold 90 % of the points; empty where the model
            has none.
    """

    image: str
    group: str
    predicted: list
    scores: list
    gt: list
    boxes: list
    areas: list
    kinds: list = []
    radii: list = []


class Evaluation(msgspec.Struct, frozen=True):
    """Predictions on a test set and what its metrics say.

    Args:
        key: Identity of the test: two tests of the same checkpoint, settings and labels share it.
        checkpoint: Path.
        labels: Path of the annotation file.
        images: Folder of the images; what lies elsewhere is not shown.
        metrics: By name, as the runner returns them.
        tables: Of the metrics that make one, by the metric's class.
        parts: Of :class:`KeypointMetric`, with intervals; None where poses are not matched one by
            one.
        meta: ``DRAWN`` of the metainfo, and ``names``, those of the keypoints.
        samples: In the order of the data set.
        versions: Of the packages that tested.
        format: Of the file.
    """

    key: str
    checkpoint: str
    labels: str
    images: str
    metrics: dict[str, float]
    tables: dict[str, pd.DataFrame]
    parts: pd.DataFrame | None
    meta: dict[str, Any]
    samples: tuple[Sample, ...]
    versions: dict[str, str]
    format: int = FORMAT

    @property
    def names(self) -> list[str]:
        """Names of the K keypoints."""
        return self.meta["names"]

    def poses(self) -> PosePredictions:
        """All instances, where each sample is one; NaN for keypoints that are not trained."""
        pose = poses_of(self.samples)
        pose.predicted[:, ~trained_keypoints(self.meta)] = np.nan
        return pose


def poses_of(samples: Sequence[Sample]) -> PosePredictions:
    """Samples of one instance each as arrays."""
    predicted, scores, gt, boxes, areas = (
        np.array([getattr(sample, name)[0] for sample in samples], float)
        for name in ("predicted", "scores", "gt", "boxes", "areas")
    )
    return PosePredictions(predicted, scores, gt[..., :2], gt[..., 2], boxes, areas)


def are_poses(samples: Sequence[Sample], num_keypoints: int) -> bool:
    """Tell whether each sample is one instance with one prediction of all its keypoints.

    A single mark of a radiograph and things without names are not.
    """
    return num_keypoints > 2 and all(
        len(sample.predicted) == len(sample.gt) == len(sample.areas) == 1
        and len(sample.predicted[0]) == len(sample.gt[0]) == num_keypoints
        for sample in samples
    )


def parts_of(
    samples: Sequence[Sample],
    meta: dict[str, Any],
    thresholds: Sequence[float],
    grouped: bool,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """:attr:`KeypointMetric.parts` with intervals.

    Args:
        samples: One instance each.
        meta: As :attr:`Evaluation.meta`.
        thresholds: Of PCK.
        grouped: Whether to measure each group by itself, too.
        resamples: Of the bootstrap.
    """
    metric = KeypointMetric(
        thresholds, group_key="group" if grouped else "", resamples=resamples, seed=0
    )
    metric.dataset_meta = {**meta, "keypoint_id2name": dict(enumerate(meta["names"]))}
    pose = poses_of(samples)
    metric.compute_metrics(
        [
            {name: values[index] for name, values in vars(pose).items()}
            | dict(image=sample.image, group=sample.group)
            for index, sample in enumerate(samples)
        ]
    )
    if metric.parts is None:
        raise ValueError("expected KeypointMetric to make a table of parts, it made none")
    return metric.parts


def overall(parts: pd.DataFrame) -> pd.Series:
    """The row over all keypoints of the whole set."""
    return parts[(parts["part"] == "all") & (parts["keypoint"] == EVERY_KEYPOINT)].iloc[0]


def save(evaluation: Evaluation, path: Path) -> None:
    """Write as JSON; numbers of tables that are not finite become null."""
    content = msgspec.to_builtins(evaluation, enc_hook=_plain)
    write_text(path, json.dumps(content, separators=(",", ":")))


def load(path: Path, key: str) -> Evaluation | None:
    """Read what :func:`save` wrote; None if it is missing, unreadable or of another test."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = msgspec.convert(content, Evaluation, dec_hook=lambda _, table: _table(table))
    except (OSError, ValueError, KeyError, TypeError, msgspec.ValidationError):
        return None
    return found if (found.format, found.key) == (FORMAT, key) else None


def _plain(table: Any) -> dict[str, list]:
    return json.loads(table.to_json(orient="split", index=False, double_precision=15))


def _table(content: dict[str, list]) -> pd.DataFrame:
    """The inverse of :func:`_plain`; a column without a single number is one of NaN."""
    table = pd.DataFrame(content["data"], columns=content["columns"])
    empty = [name for name in table if table[name].isna().all()]
    return table.astype(dict.fromkeys(empty, float))
