"""Plan of a run by its config: its end, the watched metric and the options of hooks.

A run without a config, or without the hook in question, has no answer; nothing is guessed but
which direction of a metric is the better one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from equikpt.report.run.run_folder import Run

LESS_IS_BETTER = (
    *("loss", "error", "epe", "nme", "mae", "rmse", "mse", "mm", "std"),
    *("swaps", "failures", "duplicates"),
)
"""Parts of a metric's name; of any other metric more is better."""

LOG_INTERVAL = 10
"""Steps from row to row: MMEngine's own."""


@dataclass(frozen=True)
class Plan:
    """Planned length of a run.

    Args:
        max_epochs: None in a run by steps, and without a config.
        max_steps: None as long as the length of an epoch is not known.
        val_interval: Epochs, in a run by steps steps, from one validation to the next.
        validates: Whether there is a validation.
        log_interval: Steps from one row to the next.
    """

    max_epochs: int | None
    max_steps: int | None
    val_interval: int
    validates: bool
    log_interval: int


@dataclass(frozen=True)
class Metric:
    """A validation metric and which direction of it is better: ``"greater"`` or ``"less"``."""

    name: str
    rule: str

    def best_row(self, val: pd.DataFrame) -> pd.Series | None:
        """The validation with the best value, of equal ones the first; None without any."""
        values = val[self.name].dropna() if self.name in val else pd.Series(dtype=float)
        if values.empty:
            return None
        place = values.argmax() if self.rule == "greater" else values.argmin()
        return val.loc[values.index[int(place)]]


def plan_of(run: Run) -> Plan:
    """Read the plan off the config; without one the record knows how far the run goes."""
    config: Any = run.config if run.config is not None else {}
    loop = config.get("train_cfg") or {}
    max_epochs, max_steps = loop.get("max_epochs"), loop.get("max_iters")
    if max_epochs is None and max_steps is None and run.record is not None:
        max_epochs, max_steps = run.record.max_epochs, run.record.max_steps
    elif max_epochs is not None and run.steps_per_epoch is not None:
        max_steps = max_epochs * run.steps_per_epoch
    return Plan(
        max_epochs=max_epochs,
        max_steps=max_steps,
        val_interval=loop.get("val_interval", 1),
        validates=config.get("val_dataloader") is not None,
        log_interval=(hook_options(run, "LoggerHook") or {}).get("interval", LOG_INTERVAL),
    )


def hook_options(run: Run, hook: str) -> dict[str, Any] | None:
    """The options of a hook by its type, ours or MMEngine's; None where the config has none."""
    types = (hook, f"Atomic{hook}")
    return next((dict(options) for options in _hooks(run) if options.get("type") in types), None)


def _hooks(run: Run) -> Iterator[dict]:
    if run.config is None:
        return
    default = (run.config.get("default_hooks") or {}).values()
    yield from (
        options for options in (*default, *(run.config.get("custom_hooks") or ())) if options
    )


def setting(run: Run, key: str) -> Any:
    """The value of a dotted key of the config; None where there is none."""
    value: Any = run.config
    for part in key.split("."):
        if not hasattr(value, "get"):
            return None
        value = value.get(part)
    return value


def watched_metric(run: Run) -> Metric | None:
    """The metric that the run keeps its best checkpoint by.

    Without such a rule in the config it is what early stopping watches, then ``val_loss``, then
    the first metric that was logged. None where a run without a config was never validated.
    """
    for hook, key in (("CheckpointHook", "save_best"), ("EarlyStoppingHook", "monitor")):
        options = hook_options(run, hook) or {}
        name, rule = _first(options.get(key)), _first(options.get("rule"))
        if name and name != "auto":
            return Metric(name, rule or better_direction(name))
    logged = metric_names(run)
    if not logged:
        return None
    name = "val_loss" if "val_loss" in logged else logged[0]
    return Metric(name, better_direction(name))


def metric_names(run: Run) -> list[str]:
    """Names of what validations logged, in their order."""
    others = ("epoch", "step", "wall_s", "time", "data_time")
    return [name for name in run.val.columns if name not in others]


def better_direction(name: str) -> str:
    """``"less"`` for losses and errors by their name, else ``"greater"``."""
    parts = name.lower().replace("/", "_").replace("@", "_").split("_")
    return "less" if any(part in LESS_IS_BETTER for part in parts) else "greater"


def _first(value: Any) -> Any:
    """``save_best`` and ``rule`` may be lists."""
    return value[0] if isinstance(value, (list, tuple)) and value else value
