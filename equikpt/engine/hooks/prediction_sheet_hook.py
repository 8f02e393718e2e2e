"""A sheet of test pictures with the predictions drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from mmcv import imfrombytes
from mmengine.fileio import get
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from mmpose.structures import PoseDataSample

from equikpt.files import write_bytes
from equikpt.visualize import check_picture_name, contact_sheet, draw_instance, has_names

CONTEXT = 1.25
"""A cell shows the box enlarged by this factor."""


@HOOKS.register_module()
class PredictionSheetHook(Hook):
    """Draw evenly spaced test instances: left the truth, right the prediction.

    Keypoints that no instance of the test set has a label for are left out: a model trained on the
    same kind of labels puts them anywhere.

    Args:
        out_file: Picture to write (``.png`` or ``.jpg``); one that stands there is replaced.
        num_instances: How many instances to draw.
        score_threshold: Points below it are drawn hollow.

    Raises:
        ValueError: ``num_instances`` below 1, or a file format that cannot be written.
    """

    def __init__(
        self, out_file: str, num_instances: int = 12, score_threshold: float = 0.3
    ) -> None:
        if num_instances < 1:
            raise ValueError(f"expected num_instances of at least 1, got {num_instances}")
        check_picture_name(out_file)
        self.out_file = Path(out_file)
        self.num_instances = num_instances
        self.score_threshold = score_threshold
        self._wanted: set[int] = set()
        self._seen = 0
        self._chosen: list[PoseDataSample] = []
        self._labelled: np.ndarray | bool = False

    def before_test_epoch(self, runner: Runner) -> None:
        """Choose the instances, the same on every call."""
        size = len(runner.test_dataloader.dataset)
        chosen = np.linspace(0, size - 1, min(self.num_instances, size))
        self._wanted = set(chosen.round().astype(int).tolist())
        self._seen = 0
        self._chosen = []
        self._labelled = False

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[PoseDataSample] | None = None,
    ) -> None:
        """Keep what this batch holds of the chosen instances."""
        named = has_names(runner.test_dataloader.dataset.metainfo)
        for sample in outputs or ():
            if named:
                self._labelled = self._labelled | (_truth(sample)[:, 2] > 0)
            if self._seen in self._wanted:
                self._chosen.append(sample)
            self._seen += 1

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Draw and write the sheet."""
        if not self._chosen or runner.rank != 0:
            return
        metainfo = runner.test_dataloader.dataset.metainfo
        drawn = [self._draw(sample, metainfo) for sample in self._chosen]
        images, captions = zip(*drawn, strict=True)
        sheet = contact_sheet(images, columns=3, captions=captions, cell_px=(480, 240))
        _, buffer = cv2.imencode(self.out_file.suffix, sheet)
        write_bytes(self.out_file, buffer.tobytes())
        runner.logger.info(f"predictions drawn: {self.out_file}")

    def _draw(self, sample: PoseDataSample, metainfo: dict) -> tuple[np.ndarray, str]:
        image = imfrombytes(get(sample.img_path))
        predicted = sample.pred_instances
        truth = _truth(sample)
        with_truth = draw_instance(image, truth[:, :2], metainfo, visibility=truth[:, 2])
        with_prediction = draw_instance(
            image,
            predicted.keypoints[0],
            metainfo,
            visibility=np.where(self._labelled, 2, 0) if has_names(metainfo) else None,
            scores=predicted.keypoint_scores[0],
            threshold=self.score_threshold,
        )
        x1, y1, x2, y2 = np.asarray(sample.gt_instances.bboxes[0], float)
        centre_x, centre_y = (x1 + x2) / 2, (y1 + y2) / 2
        half = max(x2 - x1, y2 - y1) * CONTEXT / 2
        left, right = _clip(centre_x - half, centre_x + half, image.shape[1])
        top, bottom = _clip(centre_y - half, centre_y + half, image.shape[0])
        crops = [picture[top:bottom, left:right] for picture in (with_truth, with_prediction)]
        return np.hstack(crops), f"truth | prediction: {Path(sample.img_path).name}"


def _truth(sample: PoseDataSample) -> np.ndarray:
    """(K, 3) x and y in px of the picture, and COCO's visibility."""
    return np.asarray(sample.raw_ann_info["keypoints"], float).reshape(-1, 3)


def _clip(start: float, stop: float, limit: int) -> tuple[int, int]:
    return max(0, round(start)), min(limit, max(round(start) + 2, round(stop)))
