"""Estimators whose validation has a loss."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement, InstanceData
from mmpose.models import BottomupPoseEstimator, TopdownPoseEstimator
from mmpose.models.heads import BaseHead
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from mmpose.utils.tensor_utils import to_numpy
from torch import Tensor, nn

from equikpt.models.keypoint_channels import keypoint_count
from equikpt.models.trained_keypoints import trained_pairs


class ValLoss:
    """Report the loss of a validation where the samples carry targets.

    MMEngine's validation loop averages the losses that a model appends to its predictions, and logs
    them with their sum, ``val_loss``: a value for plateau schedules and early stopping. For it
    the validation pipeline holds ``GenerateTarget`` or ``GenerateValTarget``. Samples without
    targets give predictions alone. With a flip test the loss is that of the plain pass alone.
    """

    # of the pose estimator that it is mixed into
    extract_feat: Any
    head: Any
    train_cfg: Any
    test_cfg: Any
    add_pred_to_datasample: Any

    def predict(
        self, inputs: Tensor, data_samples: list[PoseDataSample]
    ) -> list[PoseDataSample | BaseDataElement]:
        """Predictions of a batch; with targets, an element that holds only ``loss`` at the end.

        Args:
            inputs: (B, C, H, W).
            data_samples: B samples.
        """
        plain = feats = self.extract_feat(inputs)
        if self.test_cfg.get("flip_test", False):
            feats = [plain, self.extract_feat(inputs.flip(-1))]
        predictions = self.head.predict(feats, data_samples, test_cfg=self.test_cfg)
        fields = None
        if isinstance(predictions, tuple):
            predictions, fields = predictions
        samples = self.add_pred_to_datasample(predictions, fields, data_samples)
        self.add_visibility(samples, feats)
        if not all("keypoint_weights" in sample.gt_instance_labels for sample in samples):
            return samples
        losses = self.losses(plain, samples)
        return [*samples, BaseDataElement(loss=losses)]

    def losses(self, feats: Any, samples: list[PoseDataSample]) -> dict:
        """Losses of the features of a batch."""
        return self.head.loss(feats, samples, train_cfg=self.train_cfg)

    def add_visibility(self, samples: list[PoseDataSample], feats: Any) -> None:
        """Add what else the model says of keypoints to the samples; here nothing."""


def decode_with_spread(
    head: BaseHead, outputs: Any, swap: Sequence[int] | None = None
) -> list[InstanceData]:
    """Decode as the head's class does, and add ``keypoint_spread`` (1, K), px of the input.

    It is :mod:`equikpt.codecs.spread`'s, where the head's codec has it.

    Args:
        head: Of the estimator.
        outputs: Of the head, of a batch.
        swap: (K,) index of the other side's keypoint, to separate the pairs of heatmaps (B, K, H,
            W) first (:mod:`equikpt.codecs.pairs`); None for none.
    """
    read = outputs
    if swap is not None:
        separated = [head.decoder.separate(each, swap) for each in to_numpy(outputs)]
        read = torch.from_numpy(np.stack(separated))
    instances = type(head).decode(head, read)
    if not hasattr(head.decoder, "spread"):
        return instances
    for one, encoded in zip(instances, to_numpy(outputs, unzip=True), strict=True):
        maps = encoded if isinstance(encoded, tuple) else (encoded,)
        one.keypoint_spread = head.decoder.spread(*maps, one.keypoints)
    return instances


@MODELS.register_module()
class ValLossTopdownEstimator(ValLoss, TopdownPoseEstimator):
    """:class:`TopdownPoseEstimator` with the loss of :class:`ValLoss`, and a second branch.

    ``separate_pairs=True`` in ``test_cfg`` keeps left and right keypoints off one place, for codecs
    of heatmaps.

    Args:
        visibility: Config of a branch that says if keypoints are in the image, and seen, such as
            ``dict(type="VisibilityBranch")``; it becomes ``head.visibility`` and gets the head's
            channels and keypoints. Its probabilities are ``keypoints_presence`` and
            ``keypoints_seen`` (1, K) of ``pred_instances``. None for no such branch.
        **kwargs: As :class:`TopdownPoseEstimator`.

    Raises:
        ValueError: Pairs to separate by a codec without heatmaps.
    """

    def __init__(self, *args: Any, visibility: dict | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.head.decode = functools.partial(decode_with_spread, self.head)
        if self.test_cfg.get("separate_pairs") and not hasattr(self.head.decoder, "separate"):
            raise ValueError(
                "expected FastUDPHeatmap or FastMSRAHeatmap as the head's codec for "
                f"separate_pairs of test_cfg, got {type(self.head.decoder).__name__}; leave it out"
            )
        if visibility is not None:
            _, count = keypoint_count(self.head) or ("", 0)
            own = dict(in_channels=self.head.in_channels, num_keypoints=count)
            self.head.visibility = MODELS.build({**own, **visibility})

    @property
    def visibility(self) -> nn.Module | None:
        """The branch, or None."""
        return getattr(self.head, "visibility", None)

    def predict(
        self, inputs: Tensor, data_samples: list[PoseDataSample]
    ) -> list[PoseDataSample | BaseDataElement]:
        """As :meth:`ValLoss.predict`; with ``separate_pairs``, pairs by the samples' metainfo."""
        if self.test_cfg.get("separate_pairs"):
            swap = trained_pairs(self, data_samples[0].metainfo["flip_indices"])
            self.head.decode = functools.partial(decode_with_spread, self.head, swap=swap)
        return super().predict(inputs, data_samples)

    def loss(self, inputs: Tensor, data_samples: list[PoseDataSample]) -> dict:
        """Losses of the head and of the branch; arguments as :meth:`predict`."""
        return self.losses(self.extract_feat(inputs), data_samples)

    def losses(self, feats: Any, samples: list[PoseDataSample]) -> dict:
        """Losses of the features of a batch; of the branch where the samples have its labels."""
        losses = super().losses(feats, samples)
        labelled = all("visibility_labels" in each.gt_instance_labels for each in samples)
        if self.visibility is not None and labelled:
            losses.update(self.visibility.loss(feats, samples))
        return losses

    def add_pred_to_datasample(self, predictions: Any, fields: Any, samples: Any) -> Any:
        """As MMPose's, which moves keypoints from the input to the image; spreads with them."""
        samples = super().add_pred_to_datasample(predictions, fields, samples)
        for sample in samples:
            if "keypoint_spread" in sample.pred_instances:
                scale = np.divide(sample.metainfo["input_scale"], sample.metainfo["input_size"])
                sample.pred_instances.keypoint_spread *= np.sqrt(np.prod(scale))
        return samples

    def add_visibility(self, samples: list[PoseDataSample], feats: Any) -> None:
        """Add ``keypoints_presence`` and ``keypoints_seen`` (1, K) to each prediction."""
        if self.visibility is None or not self.visibility.has_weights:
            return
        plain, flipped = feats if isinstance(feats, list) else (feats, None)
        swap = samples[0].metainfo["flip_indices"] if flipped is not None else ()
        probabilities = self.visibility.predict(plain, flipped, swap)
        for sample, (presence, seen) in zip(samples, probabilities.swapaxes(1, 2), strict=True):
            sample.pred_instances.keypoints_presence = presence[None]
            sample.pred_instances.keypoints_seen = seen[None]


@MODELS.register_module()
class ValLossBottomupEstimator(ValLoss, BottomupPoseEstimator):
    """:class:`BottomupPoseEstimator` with the loss of :class:`ValLoss`, at one scale; the same."""
