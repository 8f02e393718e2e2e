"""Weights & Biases, with curves over iterations."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.visualization import WandbVisBackend
from mmpose.registry import VISBACKENDS

AXES = ("iter", "epoch")


@VISBACKENDS.register_module()
class IterationWandbVisBackend(WandbVisBackend):
    """:class:`WandbVisBackend` in which nothing is lost and everything has its iteration.

    - W&B drops a row whose step lies before that of an earlier one, and MMEngine counts the steps
      of a training in iterations, those of a validation in epochs. So ``step`` is not handed over:
      each row, an image's too, is one of its own. In the base class charts then count rows; here
      every row carries the ``iter`` and ``epoch`` that the training wrote down last, and ``iter``
      is the axis of all charts.
    - The base class uploads every Python file under the current folder, a virtual environment
      included. This one uploads none; the config is recorded.
    - What comes after a run's end starts another run, instead of an error.

    Args:
        save_dir: As the base class.
        define_metric_cfg: As the base class; charts over ``iter`` unless given.
        **kwargs: As the base class, such as ``init_kwargs=dict(project="equikpt")``.

    Raises:
        ImportError: wandb is not installed.
    """

    def __init__(
        self, save_dir: str, define_metric_cfg: dict | list | None = None, **kwargs: Any
    ) -> None:
        if find_spec("wandb") is None:
            raise ImportError(
                "expected wandb for IterationWandbVisBackend, it is not installed; "
                "pip install -r requirements/wandb.txt"
            )
        if define_metric_cfg is None:
            define_metric_cfg = [dict(name="*", step_metric="iter")]
        super().__init__(save_dir, define_metric_cfg=define_metric_cfg, **kwargs)
        self._now: dict[str, int] = {}

    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Record the config, and no code."""
        self.experiment.config.update(config.to_dict(), allow_val_change=True)

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Record an image (H, W, 3) uint8, RGB."""
        wandb = self.experiment
        self._log({name: wandb.Image(image)})

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a scalar."""
        self._log({name: value})

    def add_scalars(
        self, scalar_dict: dict, step: int = 0, file_path: str | None = None, **kwargs: Any
    ) -> None:
        """Record scalars of one moment."""
        self._now |= {axis: scalar_dict[axis] for axis in AXES if axis in scalar_dict}
        self._log(scalar_dict)

    def _log(self, row: dict[str, Any]) -> None:
        self.experiment.log({**self._now, **row}, commit=self._commit)

    def close(self) -> None:
        """End the run."""
        if getattr(self, "_env_initialized", False):
            self.experiment.finish()
        self._env_initialized = False
