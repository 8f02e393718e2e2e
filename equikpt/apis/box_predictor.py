"""Keypoints by a trained model in boxes of images that are in memory."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.registry import DATASETS, MODELS, TRANSFORMS
from mmpose.structures import PoseDataSample

from equikpt.compat.strict_load import load_weights
from equikpt.core.configs import strip_pretrained_init, work_dir_of
from equikpt.core.image import read_image
from equikpt.core.pipelines import LOSS_ONLY, fill_codec
from equikpt.core.project import find_checkpoint
from equikpt.metainfo.trained import record_trained, recorded_in, trained_keypoints
from equikpt.models.fast_forward import choose_precision, speed_up
from equikpt.models.keypoint_channels import (
    check_keypoint_channels,
    describe_other_keypoints,
)
from equikpt.models.trained_keypoints import silence_untrained
from equikpt.models.val_loss_estimator import ValLoss
from equikpt.structures.checkpoint_records import RecordError
from equikpt.structures.training_features import TrainingFeatures, recorded_training_features
from equikpt.structures.uncertainty import (
    DEFAULT_LEVEL,
    CountUncertainty,
    Uncertainty,
    recorded_uncertainty,
)

WITHOUT_FIT = (
    "this one has none; equikpt test CONFIG CHECKPOINT --split val --fit writes them into it"
)
View = tuple[np.ndarray, np.ndarray]
"""An image (H, W, 3) uint8, BGR, and a box (4,) in it: left, top, right and bottom in px."""


def usable_device(name: str | None) -> str:
    """Return the device that is named, or else a GPU, Apple's included, or the CPU."""
    if name:
        return name
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


class BoxPredictor:
    """A trained model, ready for boxes of images that are in memory.

    A bottom-up model sees the whole image, whatever the box.

    Args:
        cfg: Of the model; its test pipeline is used, without targets. It is not changed.
        checkpoint: Its weights: a file, or the folder of their run, as
            :func:`equikpt.core.project.find_checkpoint` takes it; by default the config's work dir.
        device: Torch's name of where to compute; by default a GPU if there is one.
        maps: Give samples the heatmaps that their points were read from, as
            ``pred_fields.heatmaps`` (K, H, W), where the head has them (of SimCC the outer product
            of ``pred_instances.keypoint_x_labels`` and ``…_y_labels``).
        precision: Of backbone and neck, as :func:`equikpt.models.fast_forward.choose_precision`;
            the decoding is always in float32.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: It is of another model, the model of other keypoints than the data set, or the
            device does not compute in ``precision``.
    """

    def __init__(
        self,
        cfg: Config,
        checkpoint: str | Path | None = None,
        device: str | None = None,
        maps: bool = False,
        precision: str = "float32",
    ) -> None:
        device = usable_device(device)
        self.precision = choose_precision(precision, device)
        """Precision of backbone and neck: ``float32``, ``bfloat16`` or ``float16``."""
        checkpoint = find_checkpoint(work_dir_of(cfg) if checkpoint is None else checkpoint)
        self.checkpoint = checkpoint
        """File of its weights."""
        if maps:  # MMPose says at each call that SimCC's are normalized
            warnings.filterwarnings("ignore", "The predicted simcc values are normalized")
        init_default_scope("mmpose")
        self.metainfo = metainfo_of(cfg)
        model = load_model(cfg, checkpoint, maps, self.metainfo)
        self.model = model.to(device).eval()
        speed_up(self.model, self.precision)
        dataset = cfg.test_dataloader.dataset
        self.whole = dataset.get("data_mode") == "bottomup"
        steps = fill_codec(dataset.pipeline, dataset.get("codec"))
        self.pipeline = Compose([step for step in steps if step["type"] not in LOSS_ONLY])
        loading = TRANSFORMS.get(dataset.pipeline[0]["type"])
        self.read: Callable[[Any], np.ndarray] = getattr(loading, "read_image", read_image)
        """Read an image file as in training, (H, W, 3) uint8, BGR."""

    def set_level(self, level: float) -> None:
        """Choose the probability of ``keypoint_radius`` or ``count_interval``.

        Raises:
            ValueError: It is out of range, or the checkpoint has no fit and it is not the default.
        """
        fit = self.model.uncertainty
        if fit is not None:
            fit.check_level(level)
        elif level != DEFAULT_LEVEL:
            raise ValueError(
                f"expected a checkpoint with a fit for the level {level:g}, {WITHOUT_FIT}"
            )
        self.model.level = level

    def lacks_fit(self, kind: type[Uncertainty | CountUncertainty]) -> str:
        """Reason why predictions have no radii or intervals of the level; empty where they have."""
        fit, level = self.model.uncertainty, self.model.level
        if not isinstance(fit, kind):
            return WITHOUT_FIT
        if fit.has_level(level):
            return ""
        return (
            f"the one of this checkpoint, of {fit.source.partition(',')[0]}, says nothing of the "
            f"level {level:g}; choose a lower one"
        )

    def __call__(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[InstanceData]:
        """``keypoints`` (1, K, 2) in px of the image and ``keypoint_scores`` (1, K) in each box.

        Keypoints that had no label in training score 0, and their coordinates stand for nothing.
        Where the checkpoint holds the features of its training, also ``novelty`` (1,): the
        distance from these, see :meth:`refusal`.
        """
        return [sample.pred_instances for sample in self.samples(image, boxes)]

    @property
    def training_features(self) -> TrainingFeatures | None:
        """Features of the training that the checkpoint records; None where it records none."""
        return getattr(self.model, "training_features", None)

    def refusal(self, found: InstanceData) -> str:
        """Reason not to believe one of :meth:`__call__`'s results; empty where there is none."""
        features, novelty = self.training_features, found.get("novelty", ())
        return features.refusal(novelty[0]) if features is not None and len(novelty) else ""

    def samples(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[PoseDataSample]:
        """Predict a data sample for each box (4,) of an image (H, W, 3) uint8, BGR."""
        return self.batch([(image, box) for box in boxes])

    def batch(self, views: Sequence[View]) -> list[PoseDataSample]:
        """Predict data samples for boxes of any images, computed at once."""
        if not views:
            return []
        with torch.inference_mode():
            return self.model.test_step(self.packed(views))

    def packed(self, views: Sequence[View]) -> dict[str, list]:
        """``inputs`` of the model, (3, H, W) uint8, BGR, and ``data_samples`` of boxes."""
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
        return pseudo_collate(samples)


def metainfo_of(cfg: Config) -> dict:
    """MMPose's parsed metainfo of the data set that a config tests on."""
    dataset = cfg.test_dataloader.dataset
    return DATASETS.get(dataset.type)._load_metainfo(copy.deepcopy(dataset.get("metainfo")))


def load_model(cfg: Config, checkpoint: str | Path, maps: bool, metainfo: dict) -> Any:
    """Build the model of a config, with the weights of a checkpoint and what else it records.

    Args:
        cfg: Of the model.
        checkpoint: File.
        maps: Have the model give the heatmaps that its points are read from.
        metainfo: MMPose's parsed one of the data set; gets the record of the trained keypoints.

    Raises:
        ValueError: The checkpoint is of another model, or the model of other keypoints, or a record
            of another version.
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
    try:
        if isinstance(model, ValLoss):
            model.training_features = recorded_training_features(loaded)
        model.uncertainty = recorded_uncertainty(loaded)
    except RecordError as error:
        raise RecordError(f"{checkpoint}: {error}") from error
    return model
