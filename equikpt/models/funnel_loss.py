"""A loss of coords: quadratic near the target, linear far from it."""

from __future__ import annotations

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

TAILS = ("linear", "published")


def funnel(distance: Tensor, threshold: float = 0.1, tail: str = "linear") -> Tensor:
    """Funnel of a distance: d² up to the threshold τ, a line beyond it.

    ``"linear"`` goes on along the tangent, 2τ·d − τ², continuous with its slope: a point that is
    far away is pulled as much as one at the threshold. ``"published"`` is τ·d + τ², which jumps
    from τ² to 2τ² at the threshold and pulls half as much beyond it.

    Args:
        distance: Any shape, at least 0.
        threshold: τ, in the units of the distance, above 0.
        tail: One of :data:`TAILS`.

    Source: with ``"linear"`` twice Huber's loss (https://doi.org/10.1214/aoms/1177703732).

    >>> [round(each, 3) for each in funnel(torch.tensor([0.05, 0.1, 0.3]), threshold=0.1).tolist()]
    [0.003, 0.01, 0.05]
    """
    slope, offset = (2, -1) if tail == "linear" else (1, 1)
    line = slope * threshold * distance + offset * threshold**2
    return torch.where(distance < threshold, distance**2, line)


@MODELS.register_module()
class FunnelLoss(nn.Module):
    """:func:`funnel` of the distance |Δx| + |Δy|, split into a part of x and a part of y.

    Args:
        threshold: In the units of the coords; 0.1 of normalised coords over 384 px is 19.2 px.
        tail: ``"linear"`` or ``"published"``, see :func:`funnel`.
        loss_weight: Factor.

    Raises:
        ValueError: An option out of its range.
    """

    def __init__(
        self, threshold: float = 0.1, tail: str = "linear", loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        if not threshold > 0:
            raise ValueError(f"expected threshold above 0, got {threshold}")
        if tail not in TAILS:
            raise ValueError(f"expected tail to be one of {', '.join(TAILS)}, got {tail!r}")
        if not loss_weight >= 0:
            raise ValueError(f"expected loss_weight of at least 0, got {loss_weight}")
        self.threshold = threshold
        self.tail = tail
        self.loss_weight = loss_weight

    def forward(self, predicted: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
        """Compute the weighted mean over the points: parts (2,) of x and y, whose sum is the loss.

        Each point's loss is split in proportion to |Δx| and |Δy|. 0 without any weight.

        Args:
            predicted: (..., 2).
            target: (..., 2).
            weights: (...), at least 0; None weighs all points by 1.
        """
        apart = (predicted.float() - target.float()).abs()
        distance = apart.sum(dim=-1, keepdim=True)
        # the funnel over d: finite at d = 0, and its product with |Δx| has the right gradient
        tiny = torch.finfo(distance.dtype).tiny
        ratio = funnel(distance, self.threshold, self.tail) / distance.clamp_min(tiny)
        parts = apart * ratio
        if weights is None:
            weights = torch.ones_like(parts[..., 0])
        total = weights.sum()
        mean = (parts * weights[..., None]).flatten(0, -2).sum(dim=0)
        return self.loss_weight * mean / torch.where(total > 0, total, torch.ones_like(total))
