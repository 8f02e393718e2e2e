"""A trained model for boxes of images, or whole images, that are in memory."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.registry import DATASETS, MODELS
from mmpose.structures import PoseDataSample

from equikpt.compat.strict_load import load_weights
from equikpt.core.configs import strip_pretrained_init
from equikpt.core.pipelines import fill_codec
from equikpt.models.heads.keypoint_channels import (
    check_keypoint_channels,
    describe_other_keypoints,
)

TARGETS = ("GenerateTarget", "GenerateValTarget", "MaskUnlabelled")
"""Transforms of a pipeline that only losses need."""
View = tuple[np.ndarray, np.ndarray]
"""An image (H, W, 3) uint8, BGR, and a box (4,) in it: left, top, right and bottom in px."""


def usable_device(name: str | None) -> str:
    """Return the device that is named, or else a GPU if there is one."""
    return name or ("cuda" if torch.cuda.is_available() else "cpu")


class BoxPredictor:
    """A trained model, ready for boxes of images that are in memory.

    A bottom-up model looks at the whole image, whatever the box.

    Args:
        cfg: Of the model; its test pipeline is used, without targets. It is not changed.
        checkpoint: Its weights.
        device: Torch's name of where to compute; by default a GPU if there is one.
        maps: Whether samples carry the heatmaps that their points were read from, as
            ``pred_fields.heatmaps`` (K, H, W), where the head has them (of SimCC the outer product
            of ``pred_instances.keypoint_x_labels`` and ``…_y_labels``).

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: It is of another model, or the model of other keypoints than the data set.
    """

    def __init__(
        self,
        cfg: Config,
        checkpoint: str | Path,
        device: str | None = None,
        maps: bool = False,
    ) -> None:
        if not Path(checkpoint).is_file():
            raise FileNotFoundError(
                f"expected a checkpoint at {checkpoint}, found no such file; train one with "
                "tools/train.py"
            )
        if maps:  # MMPose says at each call that SimCC's are normalized
            warnings.filterwarnings("ignore", "The predicted simcc values are normalized")
        init_default_scope("mmpose")
        self.metainfo = metainfo_of(cfg)
        self.model = _loaded(cfg, checkpoint, maps, self.metainfo).to(usable_device(device)).eval()
        dataset = cfg.test_dataloader.dataset
        self.whole = dataset.get("data_mode") == "bottomup"
        steps = fill_codec(dataset.pipeline, dataset.get("codec"))
        self.pipeline = Compose([step for step in steps if step["type"] not in TARGETS])

    def __call__(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[InstanceData]:
        """``keypoints`` (1, K, 2) in px of the image and ``keypoint_scores`` (1, K) in each box.

        Arguments are those of :meth:`samples`.
        """
        return [sample.pred_instances for sample in self.samples(image, boxes)]

    def samples(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[PoseDataSample]:
        """Predict a data sample for each box.

        Args:
            image: (H, W, 3) uint8, BGR.
            boxes: (4,) each: left, top, right and bottom in px of the image.
        """
        return self.batch([(image, box) for box in boxes])

    def batch(self, views: Sequence[View]) -> list[PoseDataSample]:
        """Predict data samples for boxes of any images, computed at once."""
        if not views:
            return []
        samples = [
            self.pipeline(
                dict(
                    img=image,
                    img_path="",
                    bbox=np.asarray(box, np.float32)[None],
                    bbox_score=np.ones(1, np.float32),
                    flip_indices=self.metainfo["flip_indices"],  # for the flip test
                )
            )
            for image, box in views
        ]
        with torch.no_grad():
            return self.model.test_step(pseudo_collate(samples))


def metainfo_of(cfg: Config) -> dict:
    """MMPose's parsed metainfo of the data set that a config tests on."""
    dataset = cfg.test_dataloader.dataset
    return DATASETS.get(dataset.type)._load_metainfo(copy.deepcopy(dataset.get("metainfo")))


def _loaded(cfg: Config, checkpoint: str | Path, maps: bool, metainfo: dict) -> Any:
    """The model of a config with the weights of a checkpoint; errors as :class:`BoxPredictor`."""
    model_cfg = copy.deepcopy(cfg.model)
    strip_pretrained_init(model_cfg)
    if maps:
        model_cfg.setdefault("test_cfg", {})["output_heatmaps"] = True
    model = MODELS.build(model_cfg)
    check_keypoint_channels(model, metainfo)
    others = describe_other_keypoints(load_weights(model, str(checkpoint)), metainfo)
    if others:
        print_log(others, "current", logging.WARNING)
    return model


def whole_image(image: np.ndarray) -> np.ndarray:
    """The box (4,) of a whole image (H, W, 3).

    MMPose's data sets clip boxes to the last px, so training saw images this way.
    """
    height, width = image.shape[:2]
    return np.array([0, 0, width - 1, height - 1])
