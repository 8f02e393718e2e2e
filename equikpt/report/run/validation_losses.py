"""Validation losses as they were, not as they were logged.

MMEngine's ``LogProcessor`` logs the mean over its last ``window_size`` values of whatever has
``loss`` in its name. Of training those are steps; of validation they are whole validations, so that
a logged ``val_loss`` lags by many epochs, while early stopping and the best checkpoint go by the
value itself. The mean is undone here. equikpt's own ``ValLogProcessor`` takes none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mmengine.config import Config

TIMES = ("time", "data_time")
"""Columns that MMEngine adds to a row of a training step and of a validation alike."""
MEAN_PATTERN = ".*(loss|time|data_time|grad_norm).*"
"""Names that ``LogProcessor`` averages unless the config says otherwise."""
WINDOW = 10
"""Values that it averages unless the config says otherwise."""

Row = dict[str, Any]


def undo_mean(rows: Sequence[Row], before: Sequence[Row], config: Config | None) -> None:
    """Replace logged means in the validations of a start by the values.

    A value that is no number leaves none behind it either, as in the log.

    Args:
        rows: In their order; they are changed. A row that lacks a name counts as none of it.
        before: Validations that the start had in memory when it began: those before the checkpoint
            that it resumed from, already undone.
        config: Of the start; without one nothing is known about means, and nothing is changed.
    """
    options = None if config is None else config.get("log_processor") or {}
    if options is None or options.get("type", "LogProcessor") != "LogProcessor":
        return
    window = options.get("window_size", WINDOW)
    pattern = re.compile(options.get("mean_pattern", MEAN_PATTERN))
    apart = {*TIMES, *(each["data_src"] for each in options.get("custom_cfg") or ())}
    for name in {name for row in rows for name in row if pattern.search(name)} - apart:
        values = [row[name] for row in before if name in row]
        for row in (row for row in rows if name in row):
            others = values[max(0, len(values) - window + 1) :]
            row[name] = row[name] * (len(others) + 1) - sum(others)
            values.append(row[name])
