"""Images of single steps of pointing sequences, for the visualizer's backends."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.models import TopdownPoseEstimator
from mmpose.registry import HOOKS
from mmpose.structures import PoseDataSample

from equikpt.engine.hooks._visualization import VisualizationSchedule, evenly_spaced, log_image
from equikpt.engine.wrapping import unwrap
from equikpt.models.heads.sequential_attention_head import SequentialAttentionHead
from equikpt.visualization.pose import contact_sheet, draw_step

SHARES = (0.0, 0.3, 0.6, 0.9, 1.0)
"""Share of its sequence that an image's step was given; the last says done."""


@HOOKS.register_module()
class SequenceVisualizationHook(Hook):
    """Draw what the steps of evenly spaced validation images said, each at another length.

    Left the input with the points so far, right the target (green), the prediction (red), a line
    between them with ``err=23px``, ``pred_done`` and ``gt_done``. The target is the one that the
    loss used. One sheet goes to every backend of the visualizer, as ``val_steps``: a file,
    TensorBoard, W&B.

    Args:
        interval: Epochs from one sheet to the next; see
            :class:`~equikpt.engine.hooks._visualization.VisualizationSchedule`. None draws nothing.
        num_images: How many images.

    Raises:
        ValueError: An option below 1, or another head than ``SequentialAttentionHead``.
    """

    def __init__(self, interval: int | None = 1, num_images: int = 6) -> None:
        if num_images < 1:
            raise ValueError(f"expected num_images of at least 1, got {num_images}")
        self.schedule = VisualizationSchedule(interval)
        self.num_images = num_images
        self._wanted: dict[int, float] = {}
        self._seen = 0
        self._drawn: list[np.ndarray] = []

    def before_train(self, runner: Runner) -> None:
        """Refuse other heads before the first step."""
        head = unwrap(runner.model).head
        if not isinstance(head, SequentialAttentionHead):
            raise ValueError(
                f"expected SequentialAttentionHead, got {type(head).__name__}; leave "
                "SequenceVisualizationHook out of custom_hooks"
            )

    def before_val_epoch(self, runner: Runner) -> None:
        """Choose the images, the same in every epoch."""
        chosen = evenly_spaced(len(runner.val_dataloader.dataset), self.num_images)
        due = self.schedule.should_draw(runner)
        self._wanted = dict(zip(chosen, cycle(SHARES), strict=False)) if due else {}
        self._seen = 0
        self._drawn = []

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[PoseDataSample] | None = None,
    ) -> None:
        """Draw what this batch holds of the chosen images."""
        if data_batch is None:
            return
        model = unwrap(runner.model)
        for inputs, sample in zip(data_batch["inputs"], data_batch["data_samples"], strict=True):
            share = self._wanted.get(self._seen)
            self._seen += 1
            if share is not None:
                self._drawn.append(drawn_step(model, inputs, sample, share))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Hand the sheet to the visualizer."""
        if self._drawn:
            height, width = self._drawn[0].shape[:2]
            sheet = contact_sheet(self._drawn, columns=2, cell_px=(width, height))
            log_image(runner, "val_steps", sheet)


@torch.no_grad()
def drawn_step(
    model: TopdownPoseEstimator, inputs: torch.Tensor, sample: PoseDataSample, share: float
) -> np.ndarray:
    """The step of one image that was given a share of its points.

    Args:
        model: With a ``SequentialAttentionHead``.
        inputs: (3, H, W) uint8, BGR.
        sample: With the labels of ``PointSequence``.
        share: 0 to 1 of the steps that a sequence of this image has.

    Returns:
        (H, 2 · W, 3) uint8, BGR.
    """
    data = model.data_preprocessor(dict(inputs=[inputs], data_samples=[sample]), False)
    sequence = model.head.teacher_forced_targets(
        model.extract_feat(data["inputs"]), data["data_samples"]
    )
    step = round(share * (int(sequence.step_mask.sum()) - 1))
    half_size = np.array([inputs.shape[2], inputs.shape[1]]) / 2
    given, coords, targets = (
        (part[0].float().cpu().numpy() + 1) * half_size
        for part in (sequence.input_points, sequence.steps.coords, sequence.target)
    )
    return draw_step(
        np.ascontiguousarray(inputs.permute(1, 2, 0).cpu().numpy()),
        given[:step],
        coords[step],
        targets[step] if sequence.has_target[0, step] else None,
        float(sequence.steps.done_logits[0, step].sigmoid()),
    )
