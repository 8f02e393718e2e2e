"""Sheets of validation or test images with predictions drawn in."""

from __future__ import annotations

import math
from itertools import cycle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from mmpose.models import TopdownPoseEstimator
from mmpose.registry import HOOKS
from mmpose.structures import PoseDataSample
from tqdm import tqdm

from equikpt.compat.strict_load import unwrap
from equikpt.datasets.description import reader_for
from equikpt.metainfo.trained import trained_keypoints
from equikpt.models.sequential_attention_head import SequentialAttentionHead
from equikpt.visualization.ground_truth_pair import CELL_PX, draw_gt_pred_pair, true_poses
from equikpt.visualization.pose import contact_sheet, draw_step
from equikpt_runtime.drawing import check_image_name, has_names, write_image

GIVEN = (0.0, 0.3, 0.6, 0.9, 1.0)
"""Fractions of its sequence that an image's step is given, in turn; the last is the done step."""


class SampledImagesHook(Hook):
    """Base of hooks that draw evenly spaced samples of a validation, on rank 0.

    Images are drawn in the first validation, in the first one that comes ``interval`` epochs after
    the last images, and in that of the last epoch. Where no epochs are counted (a run that only
    validates, a loop by iterations), every validation has its images.

    Args:
        interval: Epochs from one sheet to the next; None for never.
        **counts: Named options of at least 1.

    Raises:
        ValueError: An option below 1.
    """

    def __init__(self, interval: int | None, **counts: int) -> None:
        for name, count in counts.items():
            if count < 1:
                raise ValueError(f"expected {name} of at least 1, got {count}")
        if interval is not None and interval < 1:
            raise ValueError(
                f"expected interval as a number of epochs of at least 1, or None, got {interval}"
            )
        self.interval = interval
        self._latest: int | None = None
        self._seen = 0

    def should_draw(self, runner: Runner) -> bool:
        """Tell if the validation that begins has images."""
        if self.interval is None or runner.rank != 0:
            return False
        loop = _train_loop(runner)
        epoch = loop.epoch if loop else 0
        is_due = self._latest is None or epoch - self._latest >= self.interval
        if loop and epoch and not is_due and epoch < loop.max_epochs:
            return False
        self._latest = epoch
        return True


def evenly_spaced(size: int, count: int) -> list[int]:
    """Positions of ``count`` samples, or of all, in the order in which this rank sees them.

    Ranks take turns through a data set of ``size``.
    """
    seen = math.ceil(size / get_world_size())
    return np.linspace(0, seen - 1, min(count, seen)).round().astype(int).tolist()


def log_image(runner: Runner, name: str, sheet: np.ndarray) -> None:
    """Hand an image (H, W, 3) uint8, BGR, to every backend of the visualizer.

    Its step is the epoch, or the iteration where no epochs are counted. ``name`` has no slash:
    MMEngine's local backend makes no folders, and OpenCV fails to write silently.
    """
    loop = _train_loop(runner)
    step = (loop.epoch or loop.iter) if loop else 0
    runner.visualizer.add_image(name, cv2.cvtColor(sheet, cv2.COLOR_BGR2RGB), step=step)


def _train_loop(runner: Runner) -> BaseLoop | None:
    """The training that a validation belongs to: ``runner.train_loop`` would build one."""
    return runner._train_loop if isinstance(runner._train_loop, BaseLoop) else None


@HOOKS.register_module()
class PredictionSheetHook(SampledImagesHook):
    """Draw evenly spaced instances of a validation or a test: ground truth left, prediction right.

    A validation's sheet goes to every backend of the visualizer, as ``val_predictions``; a test's
    goes into a file. Predictions are the ones that the metrics get, with ``EMAHook`` those of the
    averaged weights. Only rank 0 draws, from its part of the set, and only the samples that it is
    going to draw are kept.

    Of predictions, keypoints that are not trained are left out, and so are those that no instance
    of the set has a label for: a model trained on the same kind of labels puts them anywhere.

    Args:
        out_file: Image to write after a test (``.png`` or ``.jpg``); one that stands there is
            replaced. None draws nothing in tests.
        num_instances: Number of instances to draw.
        score_threshold: Points below it are drawn hollow.
        interval: As :class:`SampledImagesHook` has it; None draws nothing in validations.

    Raises:
        ValueError: An option below 1, or a file format that cannot be written.
    """

    _chosen: list[PoseDataSample]
    _labelled: np.ndarray | None

    def __init__(
        self,
        out_file: str | None = None,
        num_instances: int = 12,
        score_threshold: float = 0.3,
        interval: int | None = 1,
    ) -> None:
        super().__init__(interval, num_instances=num_instances)
        if out_file is not None:
            check_image_name(out_file)
        self.out_file = None if out_file is None else Path(out_file)
        self.num_instances = num_instances
        self.score_threshold = score_threshold
        self._begin((), False)

    def before_val_epoch(self, runner: Runner) -> None:
        """Choose the instances, the same in every epoch."""
        self._begin(runner.val_dataloader.dataset, self.should_draw(runner))

    def before_test_epoch(self, runner: Runner) -> None:
        """Choose the instances, the same on every call."""
        is_wanted = self.out_file is not None and runner.rank == 0
        self._begin(runner.test_dataloader.dataset, is_wanted)

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs: Any = None
    ) -> None:
        """Keep the chosen instances of this batch."""
        if not self._wanted:
            return
        metainfo = self._dataset.metainfo
        for sample in outputs or ():
            for pose in true_poses(sample, metainfo) if has_names(metainfo) else ():
                labelled = pose[:, 2] > 0
                self._labelled = labelled if self._labelled is None else self._labelled | labelled
            if self._seen in self._wanted:
                self._chosen.append(sample)
            self._seen += 1

    after_test_iter = after_val_iter

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Draw the sheet and hand it to the visualizer."""
        if self._chosen:
            log_image(runner, "val_predictions", self._sheet())

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Draw and write the sheet."""
        if self._chosen and self.out_file is not None:
            write_image(self.out_file, self._sheet())
            runner.logger.info(f"predictions drawn: {self.out_file}")

    def _begin(self, dataset: Any, is_wanted: bool) -> None:
        wanted = evenly_spaced(len(dataset), self.num_instances) if is_wanted else ()
        self._wanted, self._dataset = set(wanted), dataset
        self._seen = 0
        self._chosen, self._labelled = [], None

    def _sheet(self) -> np.ndarray:
        bar = tqdm(self._chosen, desc="drawing", unit="img", delay=5, leave=False, disable=None)
        read, metainfo = reader_for(self._dataset), self._dataset.metainfo
        shown = trained_keypoints(metainfo) if has_names(metainfo) else None
        if shown is not None and self._labelled is not None:
            shown &= self._labelled
        options = (metainfo, shown, self.score_threshold)
        pairs = [draw_gt_pred_pair(read(sample.img_path), sample, *options) for sample in bar]
        captions = [f"ground truth | prediction: {Path(s.img_path).name}" for s in self._chosen]
        return contact_sheet(pairs, columns=3, captions=captions, cell_px=(2 * CELL_PX, CELL_PX))


@HOOKS.register_module()
class SequenceVisualizationHook(SampledImagesHook):
    """Draw single steps of evenly spaced validation images, each at another length.

    Left the input with the points so far, right the target (green), the prediction (red), a line
    between them with ``err=23px``, ``pred_done`` and ``gt_done``. The target is the one that the
    loss used. One sheet goes to every backend of the visualizer, as ``val_steps``.

    Args:
        interval: As :class:`SampledImagesHook` has it.
        num_images: Number of images.

    Raises:
        ValueError: An option below 1, or another head than ``SequentialAttentionHead``.
    """

    def __init__(self, interval: int | None = 1, num_images: int = 6) -> None:
        super().__init__(interval, num_images=num_images)
        self.num_images = num_images

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
        is_wanted = self.should_draw(runner)
        self._wanted = dict(zip(chosen, cycle(GIVEN), strict=False)) if is_wanted else {}
        self._seen = 0
        self._drawn: list[np.ndarray] = []

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs: Any = None
    ) -> None:
        """Draw the chosen images of this batch."""
        if data_batch is None:
            return
        model = unwrap(runner.model)
        for inputs, sample in zip(data_batch["inputs"], data_batch["data_samples"], strict=True):
            given = self._wanted.get(self._seen)
            self._seen += 1
            if given is not None:
                self._drawn.append(drawn_step(model, inputs, sample, given))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Hand the sheet to the visualizer."""
        if self._drawn:
            height, width = self._drawn[0].shape[:2]
            sheet = contact_sheet(self._drawn, columns=2, cell_px=(width, height))
            log_image(runner, "val_steps", sheet)


@torch.no_grad()
def drawn_step(
    model: TopdownPoseEstimator, inputs: torch.Tensor, sample: PoseDataSample, given: float
) -> np.ndarray:
    """The step of one image that was given a fraction of its points.

    Args:
        model: With a ``SequentialAttentionHead``.
        inputs: (3, H, W) uint8, BGR.
        sample: With the labels of ``PointSequence``.
        given: Fraction of the steps that a sequence of this image has.

    Returns:
        (H, 2 · W, 3) uint8, BGR.
    """
    data = model.data_preprocessor(dict(inputs=[inputs], data_samples=[sample]), False)
    sequence = model.head.teacher_forced_targets(
        model.extract_feat(data["inputs"]), data["data_samples"]
    )
    step = round(given * (int(sequence.step_mask.sum()) - 1))
    half_size = np.array([inputs.shape[2], inputs.shape[1]]) / 2
    points, coords, targets = (
        (part[0].float().cpu().numpy() + 1) * half_size
        for part in (sequence.input_points, sequence.steps.coords, sequence.target)
    )
    return draw_step(
        np.ascontiguousarray(inputs.permute(1, 2, 0).cpu().numpy()),
        points[:step],
        coords[step],
        targets[step] if sequence.has_target[0, step] else None,
        float(sequence.steps.done_logits[0, step].sigmoid()),
    )
