"""Weights & Biases at its boundary: a module that keeps what it is given."""

from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np


class Image(NamedTuple):
    """An image that a row holds."""

    image: np.ndarray


class FakeWandb(ModuleType):
    """To be put into ``sys.modules["wandb"]``."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.__spec__ = ModuleSpec("wandb", None)
        self.Image = Image
        self.config = SimpleNamespace(update=self._update)
        self.runs: list[dict] = []
        self.configs: list[dict] = []
        self.metrics: list[dict] = []
        self.rows: list[dict] = []
        self.ended = 0

    def init(self, **options: Any) -> None:
        self.runs.append(options)

    def define_metric(self, *names: str, **options: Any) -> None:
        self.metrics.append(dict(zip(("name",), names, strict=False)) | options)

    def log(self, row: dict, commit: bool = True) -> None:
        if self.ended == len(self.runs):
            raise RuntimeError("W&B takes no rows before the beginning and after the end")
        self.rows.append(row)

    def finish(self) -> None:
        self.ended += 1

    def _update(self, config: dict, allow_val_change: bool = False) -> None:
        self.configs.append(config)
