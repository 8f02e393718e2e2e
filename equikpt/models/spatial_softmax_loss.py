"""Cross-entropy over the cells of a heatmap, and the coordinates that the heatmap means."""

from __future__ import annotations

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.nn.functional import kl_div, log_softmax, smooth_l1_loss


def spatial_divergence(logits: Tensor, target: Tensor) -> Tensor:
    """Kullback–Leibler divergence of each heatmap from its target: (B, K), at least 0.

    The softmax runs over all cells of a map, so that the loss is one of the position, not of the
    height of each cell: an empty heatmap is as bad as guessing, and no background counts.
    The gradient is that of the cross-entropy; its constant, the target's entropy, is taken off.

    Args:
        logits: (B, K, H, W).
        target: (B, K, H, W), at least 0; each map is normalised to sum 1. A map of zeros counts 0.

    >>> target = torch.eye(3)[None, None]
    >>> spatial_divergence(torch.zeros(1, 1, 3, 3), target).exp()
    tensor([[3.]])
    """
    flat = target.flatten(2).float()
    wanted = flat / flat.sum(-1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    log_probability = log_softmax(logits.flatten(2).float(), dim=-1)
    return kl_div(log_probability, wanted, reduction="none").sum(-1)


def mean_cell(weights: Tensor) -> Tensor:
    """Mean x and y under weights over cells: (B, K, 2), in cells from the first one's centre.

    Args:
        weights: (B, K, H, W), at least 0; each map is normalised to sum 1.

    Source: Nibali et al., 2018, https://arxiv.org/abs/1801.07372 (DSNT).
    """
    total = weights.sum((-2, -1)).clamp_min(torch.finfo(weights.dtype).tiny)
    columns = torch.arange(weights.shape[-1], dtype=weights.dtype, device=weights.device)
    rows = torch.arange(weights.shape[-2], dtype=weights.dtype, device=weights.device)
    x = (weights.sum(-2) * columns).sum(-1) / total
    y = (weights.sum(-1) * rows).sum(-1) / total
    return torch.stack([x, y], dim=-1)


def soft_coordinates(logits: Tensor) -> Tensor:
    """Expected x and y of each point under the softmax of its heatmap: (B, K, 2), in cells.

    >>> logits = torch.full((1, 1, 4, 6), -30.0)
    >>> logits[0, 0, 3, 5] = 30
    >>> soft_coordinates(logits)
    tensor([[[5., 3.]]])
    """
    probability = logits.flatten(2).float().softmax(-1).view(logits.shape)
    return mean_cell(probability)


@MODELS.register_module()
class SpatialSoftmaxLoss(nn.Module):
    """:func:`spatial_divergence` and a smooth L1 between expected coords, for heatmap heads.

    Args:
        coordinate_weight: Weight of the smooth L1 loss (cells) beside the divergence (nats).
        loss_weight: Factor of the sum.
        use_target_weight: Use the weights of the keypoints above 0; those of 0 never count.

    Raises:
        ValueError: A weight below 0.
    """

    def __init__(
        self,
        coordinate_weight: float = 0.2,
        loss_weight: float = 1.0,
        use_target_weight: bool = True,
    ) -> None:
        super().__init__()
        for name, value in (("coordinate_weight", coordinate_weight), ("loss_weight", loss_weight)):
            if not value >= 0:
                raise ValueError(f"expected {name} of at least 0, got {value}")
        self.coordinate_weight = coordinate_weight
        self.loss_weight = loss_weight
        self.use_target_weight = use_target_weight

    def forward(
        self, output: Tensor, target: Tensor, target_weights: Tensor | None = None
    ) -> Tensor:
        """Mean over the labelled points of a batch; 0 without any.

        Args:
            output: (B, K, H, W) logits.
            target: (B, K, H, W) heatmaps of the same size, at least 0.
            target_weights: (B, K), 0 for points without a label.
        """
        each = spatial_divergence(output, target)
        if self.coordinate_weight:
            coords = soft_coordinates(output), mean_cell(target.float())
            each = each + self.coordinate_weight * smooth_l1_loss(*coords, reduction="none").sum(-1)
        weights = torch.ones_like(each) if target_weights is None else target_weights.to(each)
        labelled = weights > 0
        if not self.use_target_weight:
            weights = labelled.to(each)
        return self.loss_weight * (each * weights).sum() / labelled.sum().clamp_min(1)
