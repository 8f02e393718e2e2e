"""Estimators whose validation has a loss, and that know images unlike those of their training."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from mmengine.structures import BaseDataElement, InstanceData
from mmpose.models import BottomupPoseEstimator, TopdownPoseEstimator
from mmpose.models.heads import BaseHead
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from mmpose.utils.tensor_utils import to_numpy
from torch import Tensor

from equikpt.models.keypoint_channels import keypoint_count
from equikpt.models.pooled_features import pooled_features
from equikpt.models.visibility_branch import VisibilityBranch
from equikpt.structures.pose_instance import px_per_input_px
from equikpt.structures.training_features import TrainingFeatures
from equikpt.structures.uncertainty import DEFAULT_LEVEL, CountUncertainty, Uncertainty


class ValLoss:
    """Report the loss of a validation where the samples carry targets.

    MMEngine's validation loop averages the losses that a model appends to its predictions, and logs
    them with their sum, ``val_loss``: a value for plateau schedules and early stopping. For it
    the validation pipeline holds ``GenerateTarget`` or ``GenerateValTarget``. Samples without
    targets give predictions alone. With a flip test the loss is that of the plain pass alone.

    With :attr:`training_features` each instance of a prediction also has its ``novelty`` (N,), the
    same for all of a sample: of the plain pass as well, at no cost worth a mention.
    """

    training_features: TrainingFeatures | None = None
    """Record of the checkpoint that was loaded; None where it has none, as in training."""

    # of the pose estimator that it is mixed into
    extract_feat: Any
    backbone: Any
    neck: Any
    with_neck: bool
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
        maps = self.backbone(inputs)  # in two parts, as extract_feat does it in one
        plain = feats = self.neck(maps) if self.with_neck else maps
        if self.test_cfg.get("flip_test", False):
            feats = [plain, self.extract_feat(inputs.flip(-1))]
        predictions = self.head.predict(feats, data_samples, test_cfg=self.test_cfg)
        fields = None
        if isinstance(predictions, tuple):
            predictions, fields = predictions
        samples = self.add_pred_to_datasample(predictions, fields, data_samples)
        self.add_visibility(samples, feats)
        self.add_novelty(samples, maps)
        if not all("keypoint_weights" in sample.gt_instance_labels for sample in samples):
            return samples
        losses = self.head.loss(plain, samples, train_cfg=self.train_cfg)
        return [*samples, BaseDataElement(loss=losses)]

    def add_visibility(self, samples: list[PoseDataSample], feats: Any) -> None:
        """Add what else the model says of keypoints to the samples; here nothing."""

    def features(self, inputs: Tensor) -> Tensor:
        """Compute what images are compared by, (B, D), of preprocessed inputs (B, C, H, W)."""
        return pooled_features(self.backbone(inputs))

    def add_novelty(self, samples: list[PoseDataSample], maps: Any) -> None:
        """Add ``novelty`` (N,) to the predictions of each sample."""
        if self.training_features is None:
            return
        novelty = self.training_features.novelty(pooled_features(maps).cpu().numpy())
        for sample, value in zip(samples, novelty, strict=True):
            found = sample.pred_instances
            found.novelty = np.full(len(found), value)


def decode_with_spread(head: BaseHead, outputs: Any) -> list[InstanceData]:
    """Decode as the head's class does, and add ``keypoint_spread`` (1, K), px of the input.

    It is :mod:`equikpt.codecs.spread`'s, where the head's codec has it.
    """
    spreads = []
    if hasattr(head.decoder, "spread"):  # first, for SimCC's use_dark writes into the outputs
        for encoded in to_numpy(outputs, unzip=True):
            maps = encoded if isinstance(encoded, tuple) else (encoded,)
            spreads.append(head.decoder.spread(*maps))
    instances = type(head).decode(head, outputs)
    for one, spread in zip(instances, spreads, strict=bool(spreads)):
        one.keypoint_spread = spread
    return instances


@MODELS.register_module()
class ValLossTopdownEstimator(ValLoss, TopdownPoseEstimator):
    """:class:`TopdownPoseEstimator` with the loss of :class:`ValLoss`, and a second branch.

    Args:
        visibility: Config of a branch that says if keypoints are in the image, and seen, such as
            ``dict(type="VisibilityBranch")``; it becomes ``head.visibility`` and gets the head's
            channels and keypoints. Its probabilities are ``keypoints_presence`` and
            ``keypoints_seen`` (1, K) of ``pred_instances``. None for no such branch.
        **kwargs: As :class:`TopdownPoseEstimator`.

    With ``uncertainty``, which comes with a checkpoint, predictions have ``keypoint_probability``
    (1, K), of lying within the OKS tolerance, and ``keypoint_radius`` (1, K), px of the image, that
    holds the keypoint in a fraction ``level`` of cases; those of a head that counts have
    ``count_interval`` (1, 2), fewest and most things, inclusive, with the same probability.
    """

    uncertainty: Uncertainty | CountUncertainty | None = None
    level: float = DEFAULT_LEVEL

    def __init__(self, *args: Any, visibility: dict | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.head.decode = functools.partial(decode_with_spread, self.head)
        if visibility is not None:
            _, count = keypoint_count(self.head) or ("", 0)
            own = dict(in_channels=self.head.in_channels, num_keypoints=count)
            self.head.visibility = MODELS.build({**own, **visibility})

    @property
    def visibility(self) -> VisibilityBranch | None:
        """The branch, or None."""
        return getattr(self.head, "visibility", None)

    def loss(self, inputs: Tensor, data_samples: list[PoseDataSample]) -> dict:
        """Losses of the head and of the branch; that of a validation is the head's alone.

        Samples that are marked ``unlabelled``, the last ones, go through the network by themselves;
        their head's loss is ``loss_unlabelled``. Arguments as :meth:`predict`.
        """
        count = sum(not sample.get("unlabelled", False) for sample in data_samples)
        feats = self.extract_feat(inputs[:count])
        losses = self.head.loss(feats, data_samples[:count], train_cfg=self.train_cfg)
        if self.visibility is not None:
            losses.update(self.visibility.loss(feats, data_samples[:count]))
        if count < len(data_samples):
            feats = self.extract_feat(inputs[count:])
            added = self.head.loss(feats, data_samples[count:], train_cfg=self.train_cfg)
            losses["loss_unlabelled"] = sum(v for name, v in added.items() if "loss" in name)
        return losses

    def add_pred_to_datasample(self, predictions: Any, fields: Any, samples: Any) -> Any:
        """As MMPose's, which moves keypoints to the image, and adds radii or the interval."""
        samples = super().add_pred_to_datasample(predictions, fields, samples)
        for sample in samples:
            found = sample.pred_instances
            fit = self.uncertainty
            if isinstance(fit, Uncertainty) and "keypoint_spread" in found:
                found.keypoint_probability = fit.probability(found.keypoint_scores)
                radius = fit.radius(found.keypoint_spread, self.level)
                found.keypoint_radius = radius * px_per_input_px(sample.metainfo)
            if isinstance(fit, CountUncertainty) and "over_probability" in found:
                interval = fit.interval(found.over_probability[0], self.level)
                if interval is not None:
                    found.count_interval = np.array([interval])
        return samples

    def add_visibility(self, samples: list[PoseDataSample], feats: Any) -> None:
        """Add ``keypoints_presence`` and ``keypoints_seen`` (1, K) to each prediction."""
        if self.visibility is None or not self.visibility.has_weights:
            return
        # some necks give a list as well
        plain, flipped = feats if self.test_cfg.get("flip_test", False) else (feats, None)
        swap = samples[0].metainfo["flip_indices"] if flipped is not None else ()
        probabilities = self.visibility.predict(plain, flipped, swap)
        for sample, (presence, seen) in zip(samples, probabilities.swapaxes(1, 2), strict=True):
            sample.pred_instances.keypoints_presence = presence[None]
            sample.pred_instances.keypoints_seen = seen[None]


@MODELS.register_module()
class ValLossBottomupEstimator(ValLoss, BottomupPoseEstimator):
    """:class:`BottomupPoseEstimator` with the loss of :class:`ValLoss`, at one scale; the same."""
