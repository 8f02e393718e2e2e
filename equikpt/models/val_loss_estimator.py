"""Estimators whose validation has a loss."""

from __future__ import annotations

from typing import Any

from mmengine.structures import BaseDataElement
from mmpose.models import BottomupPoseEstimator, TopdownPoseEstimator
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor


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
        if not all("keypoint_weights" in sample.gt_instance_labels for sample in samples):
            return samples
        losses = self.head.loss(plain, samples, train_cfg=self.train_cfg)
        return [*samples, BaseDataElement(loss=losses)]


@MODELS.register_module()
class ValLossTopdownEstimator(ValLoss, TopdownPoseEstimator):
    """:class:`TopdownPoseEstimator` with the loss of :class:`ValLoss`; the same arguments."""


@MODELS.register_module()
class ValLossBottomupEstimator(ValLoss, BottomupPoseEstimator):
    """:class:`BottomupPoseEstimator` with the loss of :class:`ValLoss`, at one scale; the same."""
