"""Limits of plausible rulers, learnt from the training labels and kept in checkpoints."""

from __future__ import annotations

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.registry import DATASETS, HOOKS

from equikpt.apis.ruler_look import Plausible, plausible_of, record_limits
from equikpt.datasets.p1p2 import P1P2Dataset, RulerMarkDataset
from equikpt.engine.training_features import dataset_parts


@HOOKS.register_module()
class RulerLimitsHook(Hook):
    """Write the limits of the training labels into every checkpoint of a run on whole radiographs.

    They are learnt once, when the first is written. Where they cannot be, the log says why.
    """

    def __init__(self) -> None:
        self._is_learnt = False
        self._limits: Plausible | None = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the limits."""
        if not self._is_learnt:
            self._is_learnt = True
            try:
                self._limits = limits_of_config(runner.cfg)
            except (OSError, ValueError) as error:
                runner.logger.warning(f"checkpoints without limits of rulers: {error}")
        record_limits(checkpoint, self._limits)


def limits_of_config(cfg: Config) -> Plausible | None:
    """Learn the limits of the rulers that a config trains on; None where these are no whole ones.

    Errors as :func:`equikpt.apis.plausible_from`.
    """
    init_default_scope(cfg.get("default_scope", "mmpose"))
    for each in dataset_parts(cfg, "train"):
        kind = DATASETS.get(each["type"])
        if issubclass(kind, P1P2Dataset) and not issubclass(kind, RulerMarkDataset):
            return plausible_of(DATASETS.build({**each, "pipeline": []}))
    return None
