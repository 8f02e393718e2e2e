"""A sheet of validation or test images with the predictions drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from mmpose.structures import PoseDataSample
from tqdm import tqdm

from equikpt.datasets.description import reader_for
from equikpt.engine.hooks._visualization import VisualizationSchedule, evenly_spaced, log_image
from equikpt.visualization.ground_truth_pair import CELL_PX, draw_gt_pred_pair, true_poses
from equikpt.visualization.pose import (
    check_image_name,
    contact_sheet,
    has_names,
    write_image,
)


@HOOKS.register_module()
class PredictionSheetHook(Hook):
    """Draw evenly spaced instances of a validation or a test: ground truth left, prediction right.

    A validation's sheet goes to every backend of the visualizer, as ``val_predictions``; a test's
    goes into a file. Predictions are the ones that the metrics get, with ``EMAHook`` those of the
    averaged weights. Only rank 0 draws, from its share of the set, and only the samples that it is
    going to draw are kept.

    Keypoints that no instance of the set has a label for are left out: a model trained on the
    same kind of labels puts them anywhere. How a cell looks:
    :mod:`equikpt.visualization.ground_truth_pair`.

    Args:
        out_file: Image to write after a test (``.png`` or ``.jpg``); one that stands there is
            replaced. None draws nothing in tests.
        num_instances: How many instances to draw.
        score_threshold: Points below it are drawn hollow.
        interval: Epochs from one validation's sheet to the next; see
            :class:`~equikpt.engine.hooks._visualization.VisualizationSchedule`. None draws
            nothing in validations.

    Raises:
        ValueError: ``num_instances`` or ``interval`` below 1, or a file format that cannot be
            written.
    """

    def __init__(
        self,
        out_file: str | None = None,
        num_instances: int = 12,
        score_threshold: float = 0.3,
        interval: int | None = 1,
    ) -> None:
        if num_instances < 1:
            raise ValueError(f"expected num_instances of at least 1, got {num_instances}")
        if out_file is not None:
            check_image_name(out_file)
        self.out_file = None if out_file is None else Path(out_file)
        self.num_instances = num_instances
        self.score_threshold = score_threshold
        self.schedule = VisualizationSchedule(interval)
        self._wanted: set[int] = set()
        self._seen = 0
        self._chosen: list[PoseDataSample] = []
        self._labelled: np.ndarray | None = None

    def before_val_epoch(self, runner: Runner) -> None:
        """Choose the instances, the same in every epoch."""
        self._begin(len(runner.val_dataloader.dataset), self.schedule.should_draw(runner))

    def before_test_epoch(self, runner: Runner) -> None:
        """Choose the instances, the same on every call."""
        wanted = self.out_file is not None and runner.rank == 0
        self._begin(len(runner.test_dataloader.dataset), wanted)

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[PoseDataSample] | None = None,
    ) -> None:
        """Keep what this batch holds of the chosen instances."""
        self._keep(outputs or (), runner.val_dataloader.dataset.metainfo)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[PoseDataSample] | None = None,
    ) -> None:
        """Keep what this batch holds of the chosen instances."""
        self._keep(outputs or (), runner.test_dataloader.dataset.metainfo)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Draw the sheet and hand it to the visualizer."""
        if self._chosen:
            sheet = self._sheet(runner.val_dataloader.dataset)
            log_image(runner, "val_predictions", sheet)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Draw and write the sheet."""
        if not self._chosen or self.out_file is None:
            return
        sheet = self._sheet(runner.test_dataloader.dataset)
        write_image(self.out_file, sheet)
        runner.logger.info(f"predictions drawn: {self.out_file}")

    def _begin(self, size: int, wanted: bool) -> None:
        self._wanted = set(evenly_spaced(size, self.num_instances)) if wanted else set()
        self._seen = 0
        self._chosen = []
        self._labelled = None

    def _keep(self, outputs: Sequence[PoseDataSample], metainfo: dict) -> None:
        if not self._wanted:
            return
        named = has_names(metainfo)
        for sample in outputs:
            for pose in true_poses(sample, metainfo) if named else ():
                labelled = pose[:, 2] > 0
                self._labelled = labelled if self._labelled is None else self._labelled | labelled
            if self._seen in self._wanted:
                self._chosen.append(sample)
            self._seen += 1

    def _sheet(self, dataset: BaseDataset) -> np.ndarray:
        """(H, W, 3) uint8, BGR."""
        bar = tqdm(self._chosen, desc="drawing", unit="img", delay=5, leave=False, disable=None)
        drawn = [self._draw(sample, dataset) for sample in bar]
        images, captions = zip(*drawn, strict=True)
        return contact_sheet(images, columns=3, captions=captions, cell_px=(2 * CELL_PX, CELL_PX))

    def _draw(self, sample: PoseDataSample, dataset: BaseDataset) -> tuple[np.ndarray, str]:
        image = reader_for(dataset)(sample.img_path)
        pair = draw_gt_pred_pair(
            image, sample, dataset.metainfo, self._labelled, self.score_threshold
        )
        return pair, f"ground truth | prediction: {Path(sample.img_path).name}"
