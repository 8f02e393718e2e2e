"""Focal loss and L1 between heatmaps of logits and soft targets."""

from __future__ import annotations

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.nn.functional import logsigmoid


def soft_focal_loss(
    logits: Tensor, target: Tensor, alpha: float | None = 0.25, gamma: float = 2.0
) -> Tensor:
    """Focal loss of each cell for targets anywhere in 0 to 1, in the shape of ``logits``.

    With the probability p = sigmoid(x) and the target t,

        −|t − p|^γ · (w₁ · t · log p + w₀ · (1 − t) · log(1 − p)),

    where w₁ = α and w₀ = 1 − α, or both 1 without α. For γ = 0 without α it is the binary
    cross-entropy with logits; for targets of 0 and 1 it is the focal loss of Lin et al.; for γ > 0
    it is 0 where p = t, and above everywhere else, for any α. CornerNet's focal loss for heatmaps
    takes only cells of exactly 1 for positive, of which a Gaussian between cells has none.

    Args:
        logits: Any shape.
        target: The same shape, in 0 to 1.
        alpha: Weight of the positive part, above 0 and below 1; None weighs both parts by 1.
        gamma: At least 0; the greater, the less cells that are nearly right count.

    Source: Li et al., 2020, https://arxiv.org/abs/2006.04388, eq. 2 (quality focal loss); α as in
    Lin et al., 2017, https://arxiv.org/abs/1708.02002, eq. 5.

    >>> soft_focal_loss(torch.tensor([0.0, 4.0]), torch.tensor([0.0, 1.0]))
    tensor([1.2997e-01, 1.4679e-06])
    """
    wide = torch.promote_types(logits.dtype, torch.float32)  # halves would lose log p
    logits, target = logits.to(wide), target.to(wide)
    positive = target * logsigmoid(logits)
    negative = (1 - target) * logsigmoid(-logits)
    if alpha is not None:
        positive, negative = alpha * positive, (1 - alpha) * negative
    entropy = -(positive + negative)
    if gamma == 0:
        return entropy
    return (target - logits.sigmoid()).abs() ** gamma * entropy


def mean_over_mass(each: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of the losses of the cells over that of the targets.

    A Gaussian of any sigma, and any number of them, so cost the same a point: neither more labelled
    points nor a finer heatmap nor more background that is right changes the value. Where nothing
    is labelled the divisor is 1.

    Args:
        each: (B, K, H, W).
        target: (B, K, H, W), at least 0.
        weights: (B, K, 1, 1) or (B, K, H, W), at least 0.
    """
    mass = (target * weights).sum()
    return (each * weights).sum() / torch.where(mass > 0, mass, torch.ones_like(mass))


@MODELS.register_module()
class FocalL1HeatmapLoss(nn.Module):
    """:func:`soft_focal_loss` and the absolute error of probabilities, for ``LogitHeatmapHead``.

    Both are :func:`mean_over_mass`.

    Args:
        alpha: See :func:`soft_focal_loss`.
        gamma: See :func:`soft_focal_loss`.
        l1_weight: Factor of the absolute error.
        loss_weight: Factor of both.
        use_target_weight: Use the weights of the keypoints above 0; those of 0 never count.

    Raises:
        ValueError: An option out of its range.

    >>> target = torch.zeros(1, 2, 4, 4)
    >>> target[..., 1, 2] = 1
    >>> losses = FocalL1HeatmapLoss()(torch.full_like(target, -9.0), target)
    >>> {name: round(float(value), 3) for name, value in losses.items()}
    {'loss_focal': 2.249, 'loss_l1': 0.1}
    """

    def __init__(
        self,
        alpha: float | None = 0.25,
        gamma: float = 2.0,
        l1_weight: float = 0.1,
        loss_weight: float = 1.0,
        use_target_weight: bool = True,
    ) -> None:
        super().__init__()
        if alpha is not None and not 0 < alpha < 1:
            raise ValueError(f"expected alpha above 0 and below 1, or None, got {alpha}")
        numbers = dict(gamma=gamma, l1_weight=l1_weight, loss_weight=loss_weight)
        for name, value in numbers.items():
            if not value >= 0:
                raise ValueError(f"expected {name} of at least 0, got {value}")
        self.alpha = alpha
        self.gamma = gamma
        self.l1_weight = l1_weight
        self.loss_weight = loss_weight
        self.use_target_weight = use_target_weight

    def forward(
        self,
        output: Tensor,
        target: Tensor,
        target_weights: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Compute ``loss_focal`` and ``loss_l1``, each a scalar with its factors.

        Args:
            output: (B, K, H, W) logits.
            target: (B, K, H, W) heatmaps in 0 to 1.
            target_weights: (B, K), 0 for points without a label.
            mask: (B, K, H, W) or (B, 1, H, W) weight of each cell; 0 leaves it out.

        Raises:
            ValueError: Shapes that do not belong together.
        """
        if output.shape != target.shape:
            raise ValueError(
                f"expected heatmaps of the targets' shape {tuple(target.shape)}, got "
                f"{tuple(output.shape)}; make the codec's heatmap_size that of the head's output"
            )
        weights = torch.ones(output.shape[:2], device=output.device)
        if target_weights is not None:
            weights = target_weights.float()
            if not self.use_target_weight:
                weights = (weights > 0).float()
        weights = weights[:, :, None, None]
        if mask is not None:
            weights = weights * mask.float()
        target = target.float()
        focal = soft_focal_loss(output, target, self.alpha, self.gamma)
        absolute = (output.float().sigmoid() - target).abs()
        return dict(
            loss_focal=self.loss_weight * mean_over_mass(focal, target, weights),
            loss_l1=self.loss_weight * self.l1_weight * mean_over_mass(absolute, target, weights),
        )
