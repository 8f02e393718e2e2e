"""A sequential head that is not always given earlier points, for `sequential_keypoints.py`."""

from __future__ import annotations

import torch
from mmpose.registry import MODELS
from torch import Tensor

from equikpt.models.sequential_attention import Steps
from equikpt.models.sequential_attention_head import SequentialAttentionHead


@MODELS.register_module()
class GivenPointsHead(SequentialAttentionHead):
    """:class:`SequentialAttentionHead` whose steps in training know no points of some images.

    Args:
        given_prob: Fraction of the images whose steps know their points.
        **kwargs: As the head.
    """

    def __init__(self, given_prob: float, **kwargs) -> None:
        super().__init__(**kwargs)
        self.given_prob = given_prob
        self.all_steps = self.attention.forward
        self.attention.forward = self._some_given  # type: ignore[method-assign]

    def _some_given(self, features: Tensor, points: Tensor, valid: Tensor) -> Steps:
        if self.training:
            is_given = torch.rand(len(points), 1, device=points.device) < self.given_prob
            valid = valid * is_given
        return self.all_steps(features, points, valid)
