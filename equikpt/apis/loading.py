"""A model with the weights and the records of its checkpoint."""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmpose.registry import MODELS

from equikpt.compat.strict_load import load_weights
from equikpt.core.configs import strip_pretrained_init
from equikpt.metainfo.trained import record_trained, recorded_in, trained_keypoints
from equikpt.models.keypoint_channels import (
    check_keypoint_channels,
    describe_other_keypoints,
)
from equikpt.models.trained_keypoints import silence_untrained
from equikpt.models.val_loss_estimator import ValLoss
from equikpt.structures.training_features import TrainingFeatures


def load_model(cfg: Config, checkpoint: str | Path, maps: bool, metainfo: dict) -> Any:
    """Build the model of a config, with the weights of a checkpoint and what else it records.

    Args:
        cfg: Of the model.
        checkpoint: File.
        maps: Have the model give the heatmaps that its points are read from.
        metainfo: MMPose's parsed one of the data set; gets the record of the trained keypoints.

    Raises:
        ValueError: The checkpoint is of another model, or the model of other keypoints.
    """
    model_cfg = copy.deepcopy(cfg.model)
    strip_pretrained_init(model_cfg)
    if maps:
        model_cfg.setdefault("test_cfg", {})["output_heatmaps"] = True
    model = MODELS.build(model_cfg)
    check_keypoint_channels(model, metainfo)
    loaded = load_weights(model, str(checkpoint))
    if others := describe_other_keypoints(loaded, metainfo):
        print_log(others, "current", logging.WARNING)
    record_trained(metainfo, recorded_in(loaded, metainfo["num_keypoints"]))
    silence_untrained(model, trained_keypoints(metainfo))
    if isinstance(model, ValLoss):
        model.training_features = TrainingFeatures.recorded_in(loaded)
    return model
