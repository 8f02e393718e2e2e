"""A log in which the validation loss is that of the validation."""

from __future__ import annotations

import re

from mmengine.runner import LogProcessor, Runner
from mmpose.registry import LOG_PROCESSORS

MEANS_OF_STEPS = re.compile("time")


@LOG_PROCESSORS.register_module()
class ValLogProcessor(LogProcessor):
    """MMEngine's ``LogProcessor`` that does not average losses over validations.

    The stock class takes the mean over ``window_size`` entries of whatever has "loss" in its name.
    In training an entry is a step; in validation it is a whole validation, so that the logged
    ``val_loss`` is the mean of the last 20 epochs, falls when the loss rises, and is not the value
    that early stopping and plateau schedules see. Here it is.
    """

    def _collect_scalars(
        self, custom_cfg: list[dict], runner: Runner, mode: str, reserve_prefix: bool = False
    ) -> dict:
        tag = super()._collect_scalars(custom_cfg, runner, mode, reserve_prefix)
        if mode != "train":
            for name, buffer in runner.message_hub.log_scalars.items():
                key = name if reserve_prefix else name.removeprefix(f"{mode}/")
                if name.startswith(f"{mode}/") and not MEANS_OF_STEPS.search(key) and key in tag:
                    tag[key] = buffer.current()
        return tag
