"""Facts that an exported file carries beside its graph, as one JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from equikpt import __version__
from equikpt.apis.box_predictor import BoxPredictor
from equikpt.metainfo.trained import trained_keypoints
from equikpt.structures.uncertainty import DEFAULT_LEVEL, Uncertainty
from equikpt_runtime.metadata import SCHEMA


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """All that a reader of the file needs beside it; no other file is needed.

    Args:
        task: Kind of the outputs: ``keypoints``, ``ruler``, ``peaks`` or ``points``.
        name: Of the keypoint set.
        keypoints: K names, in the order of the outputs.
        skeleton: Pairs of keypoints that a line connects.
        flip_indices: K keypoints of the other side.
        colors: ``keypoints`` and ``skeleton``, [r, g, b] each.
        trained: K; the others score 0 and their coordinates are NaN.
        input: ``kind`` (crop, image), ``size`` [w, h], ``color``, ``layout``, ``dtype``, ``crop``
            (how it is cut out of an image) and ``reading`` (image, radiograph).
        flip_test: The file averages with the mirrored crop.
        uncertainty: Fit of radii and scores with the ``level`` of the radii; None without.
        novelty: ``limit``, ``level`` and ``source``; None without.
        points: Of the task ``points``: ``done_threshold``, ``interval``, ``max_points``.
        ruler: Of the task ``ruler``: ``mm``.
        checkpoint: ``sha256``, ``epoch`` and ``config``.
        training: ``images``, ``instances`` and ``source``; None where nothing says so.
        licence: Of the data; None where nothing says so.
        precision: float32, float16 or int8.
        parity: ``images``, ``mean_px``, ``max_px`` and ``against``; None where not measured.
        sigmas: Fall-off constants of the K keypoints, by which tracks compare poses.
        producer: Package and version.
        schema: :data:`SCHEMA`.
    """

    task: str
    name: str
    keypoints: list[str]
    skeleton: list[list[int]]
    flip_indices: list[int]
    colors: dict[str, list[list[int]]]
    trained: list[bool]
    input: dict[str, Any]
    flip_test: bool = False
    uncertainty: dict[str, Any] | None = None
    novelty: dict[str, Any] | None = None
    points: dict[str, Any] | None = None
    ruler: dict[str, Any] | None = None
    checkpoint: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    licence: str | None = None
    precision: str = "float32"
    parity: dict[str, Any] | None = None
    sigmas: list[float] = field(default_factory=list)
    producer: str = f"equikpt {__version__}"
    schema: int = SCHEMA

    def to_json(self) -> str:
        """Write as JSON."""
        return json.dumps(asdict(self), allow_nan=False)


def describe(
    predictor: BoxPredictor,
    task: str,
    input: Mapping[str, Any],
    level: float = DEFAULT_LEVEL,
    **others: Any,
) -> Metadata:
    """Describe a trained model by what its metainfo and its checkpoint say.

    Args:
        predictor: The model.
        task: As :class:`Metadata`.
        input: ``kind``, ``size`` and ``crop``; the rest is the same for all.
        level: Probability of the radii.
        others: Further fields of :class:`Metadata`.
    """
    info, model = predictor.metainfo, predictor.model
    fit, features = getattr(model, "uncertainty", None), predictor.training_features
    names = info["keypoint_id2name"]
    links = info["skeleton_links"]
    reading = "radiograph" if info.get("radiographs") else "image"
    fixed = dict(color="RGB", layout="NHWC", dtype="uint8", reading=reading)
    return Metadata(
        task=task,
        name=str(info["dataset_name"]),
        keypoints=[names[index] for index in range(len(names))],
        skeleton=[[int(one), int(other)] for one, other in links],
        flip_indices=[int(each) for each in info["flip_indices"]],
        colors=dict(
            keypoints=_colors(info["keypoint_colors"], len(names)),
            skeleton=_colors(info["skeleton_link_colors"], len(links)),
        ),
        trained=trained_keypoints(info).tolist(),
        sigmas=np.asarray(info["sigmas"], float).tolist(),
        input={**fixed, **input},
        uncertainty=dict(fit.to_dict(), level=level) if isinstance(fit, Uncertainty) else None,
        novelty=None
        if features is None
        else dict(limit=float(features.limit), level=features.level, source=features.source),
        **others,
    )


def describe_checkpoint(path: Path, content: Mapping[str, Any], config: str) -> dict[str, Any]:
    """Name a checkpoint by the hash of its file, its epoch and its config."""
    meta = content.get("meta")
    epoch = meta.get("epoch") if isinstance(meta, Mapping) else None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return dict(sha256=digest, epoch=epoch, config=config)


def _colors(values: Any, count: int) -> list[list[int]]:
    return np.asarray(values, int).reshape(count, 3).tolist()
