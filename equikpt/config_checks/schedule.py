"""Lengthen or shorten a training: everything in a config that counts epochs, by one factor."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

EPOCH_KEYS = ("begin", "end", "T_max", "step_size")
"""Options of a scheduler that are epochs, or steps in one that does not go by epochs."""
CHECKPOINT_HOOKS = ("CheckpointHook", "AtomicCheckpointHook")
MIN_EARLY_STOPPING_PATIENCE = 2
"""Least patience: of one validation that is worse than the best nothing follows."""


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
    written_for = (cfg.get("train_cfg") or {}).get("max_epochs")
    if not written_for:
        raise ValueError(
            "expected train_cfg.max_epochs in the config, found none: it counts iterations or does "
            "not train; set train_cfg.max_iters and its schedule by --cfg-options"
        )
    ratio = epochs / written_for
    train_cfg = cfg.train_cfg
    interval = train_cfg.get("val_interval", 1)
    train_cfg.max_epochs = epochs
    train_cfg.val_interval = _whole(interval * ratio, least=1)
    if "val_begin" in train_cfg:
        train_cfg.val_begin = _whole(train_cfg.val_begin * ratio, least=1)
    if train_cfg.get("dynamic_intervals"):
        train_cfg.dynamic_intervals = [
            (_whole(begin * ratio), _whole(every * ratio, least=1))
            for begin, every in train_cfg.dynamic_intervals
        ]
    validations = ratio * interval / train_cfg.val_interval  # new ones for each old one
    schedulers = cfg.get("param_scheduler") or []
    for scheduler in [schedulers] if isinstance(schedulers, dict) else schedulers:
        _scale_scheduler(scheduler, ratio, validations, epochs)
    for hook in _hooks(cfg):
        _scale_hook(hook, ratio, validations, epochs)


def _scale_scheduler(scheduler: Any, ratio: float, validations: float, epochs: int) -> None:
    by_fraction = scheduler.get("convert_to_iter_based", False)

    def scaled(value: float, least: int = 0) -> float:
        return value * ratio if by_fraction else _whole(value * ratio, least)

    for key in EPOCH_KEYS:
        if scheduler.get(key) is not None:
            scheduler[key] = scaled(scheduler[key], least=0 if key == "begin" else 1)
    least_end = scheduler.get("begin", 0) + (2 if "start_factor" in scheduler else 1)
    if not by_fraction and scheduler.get("end") is not None:  # LinearLR of one step never rises
        scheduler["end"] = max(scheduler["end"], least_end)
    if "milestones" in scheduler:
        scheduler["milestones"] = sorted({scaled(at, least=1) for at in scheduler["milestones"]})
    if "periods" in scheduler:
        scheduler["periods"] = [scaled(period, least=1) for period in scheduler["periods"]]
    for key in ("patience", "cooldown"):  # of ReduceOnPlateauLR, in validations
        if key in scheduler:
            least = 1 if scheduler[key] else 0
            scheduler[key] = _whole(scheduler[key] * validations, least)


def _scale_hook(hook: Any, ratio: float, validations: float, epochs: int) -> None:
    for key in ("phases", "switches"):
        if key in hook:
            hook[key] = _scale_parts(hook[key], ratio, epochs)
    if "EarlyStopping" in str(hook.get("type")) and "patience" in hook:
        hook["patience"] = _whole(hook["patience"] * validations, MIN_EARLY_STOPPING_PATIENCE)
    if hook.get("type") in CHECKPOINT_HOOKS and hook.get("by_epoch", True):
        hook["interval"] = _whole(hook.get("interval", 1) * ratio, least=1)


def _scale_parts(parts: list, ratio: float, epochs: int) -> list:
    """Parts of a training that begin at an epoch; of several that come to begin at one, the last.

    The first part of all stays: what it freezes is frozen when the model is built.
    """
    scaled: dict[int, Any] = {}
    for part in parts:
        begin = _whole(part["begin"] * ratio, least=1 if part["begin"] else 0)
        if begin < epochs:
            scaled[begin] = {**part, "begin": begin}
    return list(scaled.values())


def _hooks(cfg: Config) -> Iterator[Any]:
    yield from (hook for hook in (cfg.get("default_hooks") or {}).values() if hook)
    yield from cfg.get("custom_hooks") or []


def _whole(value: float, least: int = 0) -> int:
    """The nearest whole number, halves upwards, of at least ``least``."""
    return max(least, math.floor(value + 0.5))
