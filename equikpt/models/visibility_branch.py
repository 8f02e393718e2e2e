"""A branch beside a pose head: is each keypoint in the image, and is it to be seen there?

Letters: B samples, K keypoints, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor, nn
from torch.nn import functional

ABSENT, HIDDEN, SEEN, UNKNOWN = 0, 1, 2, -1
"""Labels of the branch: not in the image, in it and covered, in it and to be seen, not said."""
GRID = 8
"""Cells a side, about, to which the maps are averaged first: next to nothing is left to compute."""


def visibility_loss(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Cross entropies of presence, and of seen against hidden where a keypoint is present.

    Args:
        logits: (B, K, 2) of presence, and of being seen given presence.
        labels: (B, K) ``ABSENT``, ``HIDDEN``, ``SEEN`` or ``UNKNOWN``.

    Returns:
        Two means over the keypoints that say something of it; 0 where none does.
    """
    losses = []
    for index, (known, positive) in enumerate(
        ((labels != UNKNOWN, labels > ABSENT), (labels > ABSENT, labels == SEEN))
    ):
        each = functional.binary_cross_entropy_with_logits(
            logits[..., index].float(), positive.float(), reduction="none"
        )
        losses.append((each * known).sum() / known.sum().clamp(min=1))
    return losses[0], losses[1]


@MODELS.register_module()
class VisibilityBranch(BaseModule):
    """Predict presence and visibility of each keypoint from the features that the head reads.

    A 1 × 1 convolution of a coarse map, mean and maximum over its cells, and one linear layer:
    whether a hoof is in the image, or behind the other one, shows in the whole view. It is
    MMPose's ``VisPredictHead`` with a second output, a hidden layer and targets of its own, beside
    the head instead of around it, so that checkpoints keep their keys. Its losses do not train
    backbone and neck: keypoints are those of a model without the branch.

    Args:
        in_channels: C of the last feature map.
        num_keypoints: K.
        hidden_channels: Of the convolution.
        unlabelled: ``"absent"`` takes keypoints without a label for not in the image: sets whose
            annotators label all that they can see or guess, as COCO's and AP-10K's.
            ``"unknown"`` is for sets that label some of what is there; absence is then learnt from
            points that crops cut off alone.

    Raises:
        ValueError: Another ``unlabelled``.
    """

    def __init__(
        self,
        in_channels: int,
        num_keypoints: int,
        hidden_channels: int = 128,
        unlabelled: str = "absent",
    ) -> None:
        super().__init__()
        if unlabelled not in (choices := ("absent", "unknown")):
            raise ValueError(f"expected unlabelled to be one of {choices}, got {unlabelled!r}")
        self.unlabelled = unlabelled
        self.num_keypoints = num_keypoints
        self.conv = nn.Conv2d(in_channels, hidden_channels, 1)
        self.norm = nn.GroupNorm(8, hidden_channels)
        self.linear = nn.Linear(2 * hidden_channels, 2 * num_keypoints)
        self.trained: np.ndarray | None = None
        """(K,) bool; nothing is learnt of the others. None for all."""
        self.has_weights = True

    def without_weights(self) -> None:
        """Predict nothing before a training has begun: the checkpoint had no such branch."""
        self.has_weights = False

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Compute logits (B, K, 2), of presence and of being seen, from maps (B, C, h, w)."""
        last = feats[-1].detach()
        cell = [max(1, side // GRID) for side in last.shape[2:]]
        maps = functional.relu(self.norm(self.conv(functional.avg_pool2d(last, cell))))
        pooled = torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1)
        return self.linear(pooled).unflatten(1, (self.num_keypoints, 2))

    def loss(self, feats: Sequence[Tensor], samples: Sequence[PoseDataSample]) -> dict:
        """Losses against ``gt_instance_labels.visibility_labels`` (1, K) of each sample.

        Without them, as of MMPose's own ``PackPoseInputs``, nothing is learnt: the losses are 0, so
        that DDP finds a gradient for each parameter.
        """
        logits, given = self(feats), [sample.gt_instance_labels for sample in samples]
        if all("visibility_labels" in each for each in given):
            labels = torch.cat([each.visibility_labels for each in given])
            labels = labels.clamp(min=ABSENT if self.unlabelled == "absent" else UNKNOWN)
            self.has_weights |= self.training
        else:
            labels = logits.new_full(logits.shape[:2], UNKNOWN, dtype=torch.long)
        if self.trained is not None:
            labels[:, ~torch.as_tensor(self.trained)] = UNKNOWN
        presence, seen = visibility_loss(logits, labels)
        return dict(loss_presence=presence, loss_visibility=seen)

    def predict(
        self, feats: Sequence[Tensor], flipped: Sequence[Tensor] | None, flip_indices: Sequence[int]
    ) -> np.ndarray:
        """Probabilities (B, K, 2): in the image, and seen there.

        Args:
            feats: Of the images.
            flipped: Of the mirrored images, whose probabilities are averaged in; None for none.
            flip_indices: (K,) keypoint of the other side.
        """
        probabilities = self(feats).sigmoid()
        if flipped is not None:
            probabilities = (probabilities + self(flipped).sigmoid()[:, list(flip_indices)]) / 2
        return probabilities.detach().float().cpu().numpy()
