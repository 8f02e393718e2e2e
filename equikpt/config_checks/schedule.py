"""Lengthen or shorten a training: everything in a config that counts epochs, by one factor."""

from __future__ import annotations

import math
from typing import Any

from mmengine.config import Config

EPOCH_KEYS = ("begin", "end", "T_max", "step_size")
"""Options of a scheduler that are epochs, or steps in one that does not go by epochs."""
CHECKPOINT_HOOKS = ("CheckpointHook", "AtomicCheckpointHook")
MIN_EARLY_STOPPING_PATIENCE = 2
"""One validation that is worse than the best proves nothing."""


def scale_schedule(cfg: Config, epochs: int) -> None:
    """Scale the schedule of a config to another number of epochs, in place.

    With the length go warm-up, phases, milestones, periods, the interval of validations and of
    checkpoints, and the patience of plateau schedules and of early stopping, so that the curve of
    the rate keeps its shape. Positions of schedulers that are converted to steps may become
    fractions of an epoch, all others are rounded to whole epochs.

    Args:
        cfg: Config with ``train_cfg.max_epochs``, the length that its schedule was written for.
        epochs: New length.

    Raises:
        ValueError: ``epochs`` below 1, or a config that does not count epochs.
    """
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
        raise ValueError(f"expected a number of epochs of at least 1, got {epochs!r}")
    train_cfg: Any = cfg.get("train_cfg") or {}
    if not train_cfg.get("max_epochs"):
        raise ValueError(
            "expected train_cfg.max_epochs in the config, found none: it counts iterations or does "
            "not train; set train_cfg.max_iters and its schedule by --cfg-options"
        )
    ratio, interval = epochs / train_cfg.max_epochs, train_cfg.get("val_interval", 1)
    train_cfg.max_epochs = epochs
    train_cfg.val_interval = _whole(interval * ratio, 1)
    if "val_begin" in train_cfg:
        train_cfg.val_begin = _whole(train_cfg.val_begin * ratio, 1)
    if train_cfg.get("dynamic_intervals"):
        train_cfg.dynamic_intervals = [
            (_whole(begin * ratio), _whole(every * ratio, 1))
            for begin, every in train_cfg.dynamic_intervals
        ]
    validations = ratio * interval / train_cfg.val_interval  # new ones for each old one
    schedulers = cfg.get("param_scheduler") or []
    for scheduler in [schedulers] if isinstance(schedulers, dict) else schedulers:
        _scale_scheduler(scheduler, ratio, validations)
    defaults = [hook for hook in (cfg.get("default_hooks") or {}).values() if hook]
    for hook in (*defaults, *(cfg.get("custom_hooks") or [])):
        _scale_hook(hook, ratio, validations, epochs)


def _scale_scheduler(scheduler: Any, ratio: float, validations: float) -> None:
    by_fraction = scheduler.get("convert_to_iter_based", False)

    def scaled(value: float, minimum: int = 1) -> float:
        return value * ratio if by_fraction else _whole(value * ratio, minimum)

    for key in EPOCH_KEYS:
        if scheduler.get(key) is not None:
            scheduler[key] = scaled(scheduler[key], 0 if key == "begin" else 1)
    min_end = scheduler.get("begin", 0) + (2 if "start_factor" in scheduler else 1)
    if not by_fraction and scheduler.get("end") is not None:  # LinearLR of one step never rises
        scheduler["end"] = max(scheduler["end"], min_end)
    if "milestones" in scheduler:
        scheduler["milestones"] = sorted({*map(scaled, scheduler["milestones"])})
    if "periods" in scheduler:
        scheduler["periods"] = [*map(scaled, scheduler["periods"])]
    for key in ("patience", "cooldown"):  # of ReduceOnPlateauLR, in validations
        if key in scheduler:
            scheduler[key] = _whole(scheduler[key] * validations, 1 if scheduler[key] else 0)


def _scale_hook(hook: Any, ratio: float, validations: float, epochs: int) -> None:
    for key in ("phases", "switches"):
        # Of several that come to begin at one epoch the last one stays, and the first of all: what
        # it freezes is frozen when the model is built.
        scaled: dict[int, Any] = {}
        for part in hook.get(key, ()):
            begin = _whole(part["begin"] * ratio, 1 if part["begin"] else 0)
            if begin < epochs:
                scaled[begin] = {**part, "begin": begin}
        if key in hook:
            hook[key] = list(scaled.values())
    if "EarlyStopping" in str(hook.get("type")) and "patience" in hook:
        hook["patience"] = _whole(hook["patience"] * validations, MIN_EARLY_STOPPING_PATIENCE)
    if hook.get("type") in CHECKPOINT_HOOKS and hook.get("by_epoch", True):
        hook["interval"] = _whole(hook.get("interval", 1) * ratio, 1)


def _whole(value: float, minimum: int = 0) -> int:
    """The nearest whole number, halves upwards, of at least ``minimum``."""
    return max(minimum, math.floor(value + 0.5))
