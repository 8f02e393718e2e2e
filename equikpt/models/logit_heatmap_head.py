"""Heatmap heads whose output are logits: of one instance, and of whole images."""

from __future__ import annotations

import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.evaluation.functional import pose_pck_accuracy
from mmpose.models.heads import HeatmapHead
from mmpose.models.utils.tta import flip_heatmaps
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from mmpose.utils.tensor_utils import to_numpy
from torch import Tensor


@MODELS.register_module()
class LogitHeatmapHead(HeatmapHead):
    """:class:`HeatmapHead` for losses on logits, such as ``FocalL1HeatmapLoss``.

    :meth:`forward` gives logits. The sigmoid is applied once, in :meth:`predict`: a flip test
    averages probabilities, and the codec decodes probabilities. The loss may return several values
    by name; each is logged.

    Args:
        prior: Probability that the untrained head gives each cell, above 0 and below 1. At 0.5 the
            background, which is nearly all of a heatmap, would outweigh all points in the first
            steps (Lin et al., 2017, https://arxiv.org/abs/1708.02002, section 3.3).
        **kwargs: As ``HeatmapHead``.

    Raises:
        ValueError: ``prior`` out of its range.
    """

    def __init__(self, *args, prior: float = 0.01, **kwargs) -> None:
        if not 0 < prior < 1:
            raise ValueError(f"expected prior above 0 and below 1, got {prior}")
        super().__init__(*args, **kwargs)
        self.prior = prior

    def init_weights(self) -> None:
        """As the base class, with the bias of the last layer that gives ``prior``."""
        super().init_weights()
        bias = getattr(self.final_layer, "bias", None)
        if bias is not None:
            torch.nn.init.constant_(bias, torch.logit(torch.tensor(self.prior)).item())

    def predict(
        self, feats, batch_data_samples: list[PoseDataSample], test_cfg: dict | None = None
    ):
        """Instances, and with ``output_heatmaps`` the probabilities (K, H, W), of a batch.

        Args:
            feats: Features, or those of the input and of its mirror image for ``flip_test``.
            batch_data_samples: B samples.
            test_cfg: ``flip_test``, ``flip_mode``, ``shift_heatmap`` and ``output_heatmaps``, as
                ``HeatmapHead``.
        """
        test_cfg = test_cfg or {}
        if test_cfg.get("flip_test", False):
            plain, mirrored = (self.forward(each).sigmoid() for each in feats)
            mirrored = flip_heatmaps(
                mirrored,
                flip_mode=test_cfg.get("flip_mode", "heatmap"),
                flip_indices=batch_data_samples[0].metainfo["flip_indices"],
                shift_heatmap=test_cfg.get("shift_heatmap", False),
            )
            probabilities = (plain + mirrored) / 2
        else:
            probabilities = self.forward(feats).sigmoid()
        instances = self.decode(probabilities)
        if test_cfg.get("output_heatmaps", False):
            return instances, [PixelData(heatmaps=each) for each in probabilities.detach().float()]
        return instances

    def loss(
        self,
        feats: tuple[Tensor, ...],
        batch_data_samples: list[PoseDataSample],
        train_cfg: dict | None = None,
    ) -> dict[str, Tensor]:
        """Compute the losses, with ``acc_pose`` unless ``compute_acc`` is off.

        Args:
            feats: Features.
            batch_data_samples: B samples with ``gt_fields.heatmaps`` and
                ``gt_instance_labels.keypoint_weights``; a ``gt_fields.heatmap_mask`` (H, W) goes to
                the loss as well.
            train_cfg: ``compute_acc``.
        """
        logits = self.forward(feats)
        labels = [sample.gt_instance_labels for sample in batch_data_samples]
        fields = [sample.gt_fields for sample in batch_data_samples]
        weights = torch.cat([label.keypoint_weights for label in labels])
        target = torch.stack([field.heatmaps for field in fields])
        masks = [field.heatmap_mask for field in fields if "heatmap_mask" in field]
        size = (len(masks), 1, *target.shape[-2:])
        masked = dict(mask=torch.stack(masks).reshape(size)) if masks else {}
        losses = self.loss_module(logits, target, weights, **masked)
        losses = dict(losses) if isinstance(losses, dict) else dict(loss_kpt=losses)
        if (train_cfg or {}).get("compute_acc", True):
            _, accuracy, _ = pose_pck_accuracy(
                output=to_numpy(logits.float()), target=to_numpy(target), mask=to_numpy(weights) > 0
            )
            losses["acc_pose"] = torch.tensor(accuracy, device=target.device)
        return losses


@MODELS.register_module()
class MultiPeakHead(LogitHeatmapHead):
    """:class:`LogitHeatmapHead` with ``MultiPeakHeatmap``: every peak is a point of its own.

    For ``BottomupPoseEstimator``. :meth:`predict` gives for each image ``keypoints`` (N, 1, 2) in
    px of the input, ``keypoint_scores`` (N, 1) and ``labels`` (N,), the keypoint type.
    """

    def decode(self, batch_outputs: Tensor) -> list[InstanceData]:
        """Find the points of a batch of probabilities (B, K, H, W)."""
        peaks = self.decoder.batch_decode(batch_outputs.detach().float())
        instances = []
        for coords, scores in zip(*(part.cpu().numpy() for part in peaks), strict=True):
            row, label = (scores > 0).nonzero()
            instances.append(
                InstanceData(
                    keypoints=coords[row, label][:, None],
                    keypoint_scores=scores[row, label][:, None],
                    labels=label,
                )
            )
        return instances
