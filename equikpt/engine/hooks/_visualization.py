"""Images of a validation: of which samples, after which epochs, and where they go."""

from __future__ import annotations

import math

import cv2
import numpy as np
from mmengine.dist import get_world_size
from mmengine.runner import BaseLoop, Runner


def evenly_spaced(size: int, count: int) -> list[int]:
    """Positions of ``count`` samples, or of all, in the order in which this rank sees them.

    Args:
        size: Of the data set, through which ranks take turns.
        count: How many are wanted.
    """
    seen = math.ceil(size / get_world_size())
    return np.linspace(0, seen - 1, min(count, seen)).round().astype(int).tolist()


class VisualizationSchedule:
    """At which validations images are due.

    They are those of the first validation, of the first one that comes ``interval`` epochs after
    the last images, and of the last epoch. Where no epochs are counted (a run that only
    validates, a loop by iterations), every validation has its images.

    Args:
        interval: Epochs from one time to the next; None for never.

    Raises:
        ValueError: An interval below 1.
    """

    def __init__(self, interval: int | None) -> None:
        if interval is not None and interval < 1:
            raise ValueError(
                f"expected interval as a number of epochs of at least 1, or None, got {interval}"
            )
        self.interval = interval
        self._latest: int | None = None

    def should_draw(self, runner: Runner) -> bool:
        """Tell if the validation that begins is one of them; only rank 0 has any."""
        if self.interval is None or runner.rank != 0:
            return False
        loop = _train_loop(runner)
        epoch = loop.epoch if loop else 0
        waited = self._latest is None or epoch - self._latest >= self.interval
        if loop and epoch and not waited and epoch < loop.max_epochs:
            return False
        self._latest = epoch
        return True


def log_image(runner: Runner, name: str, sheet: np.ndarray) -> None:
    """Hand an image to every backend of the visualizer: files, TensorBoard, W&B.

    Args:
        runner: Its epoch is the image's step; where it counts none, its iteration.
        name: Without a slash: MMEngine's local backend makes no folders, and OpenCV does not tell
            that it could not write.
        sheet: (H, W, 3) uint8, BGR.
    """
    loop = _train_loop(runner)
    step = (loop.epoch or loop.iter) if loop else 0
    runner.visualizer.add_image(name, cv2.cvtColor(sheet, cv2.COLOR_BGR2RGB), step=step)


def _train_loop(runner: Runner) -> BaseLoop | None:
    """The training that a validation belongs to: ``runner.train_loop`` would build one."""
    return runner._train_loop if isinstance(runner._train_loop, BaseLoop) else None
