"""Keypoints that had no label in training, kept out of predictions and of validation losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmpose.structures import PoseDataSample
from torch import nn

HOOK = "_silences_untrained"
TRAINED = "_trained_keypoints"
PER_KEYPOINT = (
    *("keypoint_scores", "keypoints_visible", "keypoints_presence", "keypoints_seen"),
    *("keypoint_x_labels", "keypoint_y_labels"),
)
"""Fields of predictions whose second axis is the keypoint."""
WEIGHTS = ("keypoint_weights", "points_valid")
"""Fields of targets, likewise, by which a loss leaves points out."""


def silence_untrained(model: nn.Module, trained: np.ndarray) -> None:
    """Have a pose estimator give nothing for the keypoints that are not in ``trained`` (K,) bool.

    Their scores are 0 and their maps empty; peaks of them are left out. Their coordinates are the
    mean of the others' and stand for nothing: metrics take a pose's extent from all coordinates, so
    that neither NaN nor a corner of the image would do. Labels that a validation has of them get
    no weight in its loss. A later call replaces an earlier one.
    """
    for earlier in getattr(model, HOOK, ()):
        earlier.remove()
    setattr(model, HOOK, ())
    setattr(model, TRAINED, trained)
    if trained.all():
        return

    def weigh(_model: nn.Module, _inputs: Any, options: dict[str, Any]) -> None:
        if options.get("mode") == "predict":
            for sample in options.get("data_samples") or ():
                _take_weight(sample.get("gt_instance_labels", {}), trained)

    def silence(_model: nn.Module, _inputs: Any, output: Any) -> None:
        for sample in output if isinstance(output, (list, tuple)) else ():
            if isinstance(sample, PoseDataSample) and "pred_instances" in sample:
                _silence(sample, trained)

    before = model.register_forward_pre_hook(weigh, with_kwargs=True)
    setattr(model, HOOK, (before, model.register_forward_hook(silence)))


def trained_pairs(model: nn.Module, swap: Sequence[int]) -> list[int]:
    """(K,) index of the other side's keypoint; its own where one of both is not trained."""
    trained = getattr(model, TRAINED, np.ones(len(swap), bool))
    return [
        other if trained[index] and trained[other] else index for index, other in enumerate(swap)
    ]


def _take_weight(labels: Any, trained: np.ndarray) -> None:
    for name in WEIGHTS:
        if name in labels and labels[name].shape[-1] == len(trained):
            labels[name] = labels[name] * labels[name].new_tensor(trained)


def _silence(sample: PoseDataSample, trained: np.ndarray) -> None:
    found = sample.pred_instances
    if "labels" in found:  # peaks, each a keypoint by itself
        sample.pred_instances = found[trained[np.asarray(found.labels)]]
    elif found.keypoints.shape[1] == len(trained):
        coords = np.array(found.keypoints)
        coords[:, ~trained] = coords[:, trained].mean(axis=1, keepdims=True)
        found.keypoints = coords
        for name in PER_KEYPOINT:
            if name in found:
                values = np.array(found[name])
                values[:, ~trained] = 0
                setattr(found, name, values)
    maps = sample.pred_fields.get("heatmaps") if "pred_fields" in sample else None
    if maps is not None and len(maps) == len(trained):
        maps = maps.clone()
        maps[np.flatnonzero(~trained)] = 0
        sample.pred_fields.heatmaps = maps
