"""A head that points at one thing after another, until done."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.structures import InstanceData
from mmpose.models.heads.base_head import BaseHead
from mmpose.registry import KEYPOINT_CODECS, MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot, poisson_nll_loss

from equikpt.models.coords import cell_centers, squared_distances
from equikpt.models.funnel_loss import FunnelLoss
from equikpt.models.sequential_attention import SequentialAttention, Steps
from equikpt.models.step_targets import (
    DONE_BALANCES,
    INTERVAL,
    SequenceTargets,
    done_target,
    done_weights,
    ending,
    has_target,
    match_mask,
    nearest_target,
    remaining_mask,
    weighted_mean,
)
from equikpt_runtime.instance import points_before

MODES = ("points", "keypoints")
TARGETS = ("next", "nearest")


@MODELS.register_module()
class SequentialAttentionHead(BaseHead):
    """Points or keypoints in a sequence, by :class:`SequentialAttention`.

    Training is by teacher forcing: from one pass of the backbone all N + 1 steps are computed at
    once, step n knowing the first n gt points, to which noise is added (:attr:`given_noise`, set
    by ``TeacherForcingNoiseHook``), since inference feeds back points that are a little off. Some
    images (``scheduled_sampling_prob``) are instead given what the head itself would point at, with
    what that misses and what is not there; they are done after as many points as there are gt
    ones. Inference takes one small step a point.

    The first glimpse's map is the intensity of a Poisson process of the things that are not
    marked: it says where they are and, by its sum, how many. Its loss is that process's likelihood
    in two parts, which have their own weights.

    Mode ``"points"``: any number of unnamed things, until the head says done or ``max_points`` are
    found. Mode ``"keypoints"``: ``max_points`` named steps, of which each is always predicted; done
    means that no labelled point is left.

    Losses: ``loss_x`` and ``loss_y``, the parts of the loss of coords; ``loss_done``, binary
    cross-entropy; ``loss_attention``, cross-entropy between the first glimpse's map and Gaussians
    around the target, or with ``target="nearest"`` around all points that are left;
    ``loss_count``, between the map's sum and their number, 0 where both are the same. MMEngine
    adds up all names that have "loss" in them, so what is only read has others: ``spatial``
    (loss_x + loss_y), ``error_px`` (mean Euclidean error in px of the input), ``count_error``
    (mean error of the map's sum), ``done_accuracy`` and ``not_done_accuracy`` (fractions of the
    steps at which nothing, something, is left that say so).

    Args:
        in_channels: C of the features.
        max_points: P of the codec: maximum of points an image, or the number of keypoints.
        decoder: Codec ``PointSequence``.
        mode: One of :data:`MODES`.
        target: ``"next"`` in the order of the codec, or ``"nearest"`` to the prediction among the
            unmarked points, for which order does not matter; give the codec ``order="random"``.
        attention: Options of :class:`SequentialAttention`.
        loss: The loss of coords; ``FunnelLoss`` unless given.
        done_weight: Factor of the done loss.
        done_balance: One of :data:`~equikpt.models.step_targets.DONE_BALANCES`.
        attention_weight: Factor of the attention loss.
        attention_sigma: Of its Gaussian, in normalised coords (−1 to 1).
        count_weight: Factor of the loss of the number.
        scheduled_sampling_prob: Fraction of the images, 0 to 1, that are given the head's own
            points (:meth:`SequentialAttention.greedy_peaks`) in training; for ``target="nearest"``.
        match_radius: Maximum distance at which such a point marks a gt one, in normalised coords.
        done_threshold: Probability of being over from which a sequence ends; at 0.5 it is as
            likely too long as too short.
        init_cfg: As ``BaseHead``.

    Raises:
        ValueError: Options that do not exist or do not fit each other.
    """

    def __init__(
        self,
        in_channels: int,
        max_points: int,
        decoder: dict,
        mode: str = "points",
        target: str = "next",
        attention: dict | None = None,
        loss: dict | None = None,
        done_weight: float = 3.0,
        done_balance: str = "steps",
        attention_weight: float = 1.0,
        attention_sigma: float = 0.04,
        count_weight: float = 0.3,
        scheduled_sampling_prob: float = 0.0,
        match_radius: float = 0.1,
        done_threshold: float = 0.5,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        for name, value, allowed in (
            ("mode", mode, MODES),
            ("target", target, TARGETS),
            ("done_balance", done_balance, DONE_BALANCES),
        ):
            if value not in allowed:
                raise ValueError(f"expected {name} to be one of {', '.join(allowed)}, got {value}")
        if mode == "keypoints" and target == "nearest":
            raise ValueError(
                "expected target='next' in mode 'keypoints', whose steps have names, got 'nearest'"
            )
        if not 0 <= (sampled := scheduled_sampling_prob) <= 1 or (sampled and target != "nearest"):
            raise ValueError(
                "expected scheduled_sampling_prob from 0 to 1, and 0 unless target='nearest', got "
                f"scheduled_sampling_prob={sampled}, target={target!r}"
            )
        self.decoder = KEYPOINT_CODECS.build(decoder)
        self.named = mode == "keypoints"
        self.max_points = max_points
        self.target = target
        names = max_points + 1 if self.named else 0
        self.attention = SequentialAttention(in_channels, names=names, **(attention or {}))
        self.loss_module = MODELS.build(loss) if loss else FunnelLoss()
        self.done_weight, self.done_balance = done_weight, done_balance
        self.attention_weight, self.attention_sigma = attention_weight, attention_sigma
        self.count_weight = count_weight
        self.scheduled_sampling_prob, self.match_radius = scheduled_sampling_prob, match_radius
        self.done_threshold = done_threshold
        self.given_noise = 0.0
        """Standard deviation, in normalised coords, of the noise on given points in training."""

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Free-running: coords (B, M, 2), scores (B, M), probabilities of being over (B, M + 1).

        An image's own points are those before its first step whose probability is at least
        ``done_threshold``; in mode "keypoints" they are all of them. It goes on after that until
        the interval of the number has ended in all images (``INTERVAL``), after M points.
        Scores say how many things the map has near a point, up to 1.
        """
        scene = self.attention.scene(feats[-1])
        everything: list[Steps] = []
        steps, memory = self.attention.first(scene)
        total, going = steps.count_left, torch.ones_like(steps.done_logits)
        enough = max(self.done_threshold, *INTERVAL)
        over: list[Tensor] = []
        while True:
            everything.append(steps)
            going = going * (1 - ending(steps.done_logits, total, self.done_balance))
            over.append(1 - going)
            full = len(everything) > self.max_points
            if full or not (self.named or (over[-1] < enough).any()):
                break
            valid = torch.ones_like(steps.done_logits)
            steps, memory = self.attention.next(scene, memory, steps.coords, valid)
        run = Steps(*(torch.cat(parts, dim=1) for parts in zip(*everything, strict=True)))
        scores = self.attention.count_near(scene, run).clamp_max(1)
        points = slice(self.max_points)
        return run.coords[:, points], scores[:, points], torch.cat(over, dim=1)

    def predict(
        self,
        feats: Sequence[Tensor],
        batch_data_samples: list[PoseDataSample],
        test_cfg: dict | None = None,
    ) -> list[InstanceData]:
        """The sequence of each image.

        Args:
            feats: Features, of which the last level is used.
            batch_data_samples: B samples.
            test_cfg: Without ``flip_test``: sequences of two images have no common order.

        Returns:
            For each image ``keypoints`` (1, M, 2) in px of the input, ``keypoint_scores`` (1, M)
            as :meth:`forward`, and ``done_probability`` (1, M + 1), that the sequence is over, of
            every step and of the one that ended it. In mode "points" also ``count_interval`` (1,
            2), the minimum and maximum number of things, inclusive: the number of points at the
            ends of ``INTERVAL``, at most ``max_points``.

        Raises:
            ValueError: A flip test.
        """
        if (test_cfg or {}).get("flip_test"):
            raise ValueError(
                "expected test_cfg without flip_test for SequentialAttentionHead; leave it out"
            )
        outputs = (part.detach().float().cpu().numpy() for part in self.forward(feats))
        instances = []
        for its_coords, its_scores, its_done in zip(*outputs, strict=True):
            count = len(its_coords) if self.named else points_before(its_done, self.done_threshold)
            keypoints, _ = self.decoder.decode(its_coords[None, :count])
            instance = InstanceData(
                keypoints=keypoints,
                keypoint_scores=its_scores[None, :count],
                done_probability=its_done[None, : count + 1],
            )
            if not self.named:
                ends = [points_before(its_done, probability) for probability in INTERVAL]
                instance.count_interval = np.array([ends])
            instances.append(instance)
        return instances

    def loss(
        self,
        feats: Sequence[Tensor],
        batch_data_samples: list[PoseDataSample],
        train_cfg: dict | None = None,
    ) -> dict[str, Tensor]:
        """Compute the losses and readings of the class's docstring, each a scalar.

        Args:
            feats: Features, of which the last level is used.
            batch_data_samples: B samples with ``gt_instance_labels.points`` (1, P, 2) and
                ``points_valid`` (1, P).
            train_cfg: Not used.
        """
        sequence = self.teacher_forced_targets(feats, batch_data_samples)
        return self.coord_losses(sequence, feats) | self.done_losses(sequence)

    def teacher_forced_targets(
        self, feats: Sequence[Tensor], batch_data_samples: list[PoseDataSample]
    ) -> SequenceTargets:
        """All steps of a batch that is given its gt points; arguments as :meth:`loss`."""
        labels = [sample.gt_instance_labels for sample in batch_data_samples]
        points = torch.cat([label.points for label in labels]).float()
        valid = torch.cat([label.points_valid for label in labels]).float()
        if not self.named:  # the padding that all images have
            longest = max(1, int(valid.sum(dim=1).max()))
            points, valid = points[:, :longest], valid[:, :longest]
        given, marked = self._given(feats[-1], points, valid)
        steps = self.attention(feats[-1], given, valid)
        count = steps.coords.shape[1]
        aimed = has_target(valid, count, self.named)
        if self.target == "nearest":
            target_mask = remaining_mask(valid, marked)
            index = nearest_target(steps.coords.detach(), points, target_mask)
        else:
            index = torch.arange(count, device=points.device).clamp_max(points.shape[1] - 1)
            index = index.expand(len(points), -1)  # the next of the order; the last at the end
            target_mask = one_hot(index, points.shape[1]) * aimed[..., None]
        target = points.gather(1, index[..., None].expand(-1, -1, 2))
        return SequenceTargets(
            steps, given, points, target_mask, target, aimed, *done_target(valid, count)
        )

    def _given(self, features: Tensor, points: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """The points that steps are given, (B, N, 2), and the gt that each marks, (B, N, N)."""
        marked = torch.diag_embed(valid)
        if not self.training:
            return points, marked
        given = points
        if self.scheduled_sampling_prob:
            own = self.attention.greedy_peaks(features, points.shape[1])
            chance = torch.rand(len(points), 1, 1, device=points.device)
            drawn = chance < self.scheduled_sampling_prob
            given = torch.where(drawn, own, points)
            marked = torch.where(drawn, match_mask(own, points, valid, self.match_radius), marked)
        return given + self.given_noise * torch.randn_like(points), marked

    def coord_losses(self, sequence: SequenceTargets, feats: Sequence[Tensor]) -> dict[str, Tensor]:
        """Compute the losses of the coords, and figures to log."""
        steps, target, weights = sequence.steps, sequence.target, sequence.has_target
        loss_x, loss_y = self.loss_module(steps.coords, target, weights)
        cells = cell_centers(feats[-1])
        near = -squared_distances(sequence.points, cells) / (2 * self.attention_sigma**2)
        with torch.autocast(target.device.type, enabled=False):
            wanted = sequence.target_mask @ near.softmax(dim=-1)
        number = sequence.target_mask.sum(dim=-1)
        wanted = wanted / number.clamp_min(1)[..., None]
        entropy = -(wanted * steps.attention.log_softmax(dim=-1)).sum(dim=-1)
        log_left = steps.attention.logsumexp(dim=-1)
        best = number - torch.special.xlogy(number, number)
        unlikely = poisson_nll_loss(log_left, number, reduction="none") - best
        off = (log_left.detach().exp() - number).abs()
        half_size = target.new_tensor(self.decoder.input_size) / 2
        error_px = ((steps.coords.detach() - target) * half_size).norm(dim=-1)
        return dict(
            loss_x=loss_x,
            loss_y=loss_y,
            loss_attention=self.attention_weight * weighted_mean(entropy, weights),
            loss_count=self.count_weight * weighted_mean(unlikely, sequence.step_mask),
            spatial=(loss_x + loss_y).detach(),
            error_px=weighted_mean(error_px, weights),
            count_error=weighted_mean(off, sequence.step_mask),
        )

    def done_losses(self, sequence: SequenceTargets) -> dict[str, Tensor]:
        """Compute the losses of the done signal, and figures to log."""
        logits, done, step_mask = sequence.steps.done_logits, sequence.done, sequence.step_mask
        weights = done_weights(done, step_mask, self.done_balance)
        each = binary_cross_entropy_with_logits(logits, done, reduction="none")
        right = ((logits.detach() >= 0) == (done > 0)).float()
        return dict(
            loss_done=self.done_weight * weighted_mean(each, weights),
            done_accuracy=weighted_mean(right, step_mask * done),
            not_done_accuracy=weighted_mean(right, step_mask * (1 - done)),
        )
