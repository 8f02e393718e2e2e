"""Counter of early stopping, replayed from a run's validations."""

from __future__ import annotations

import math
from dataclasses import dataclass

from equikpt.report.run.run_folder import Run
from equikpt.report.run.run_plan import better_direction, hook_options


@dataclass(frozen=True)
class Patience:
    """The counter of ``EarlyStoppingHook``.

    Args:
        metric: What it watches.
        waited: Validations in a row without a gain.
        patience: The number of them that ends the run.
        min_delta: The smallest gain that counts.
        stopped: Whether the run was to end by it.
        is_logged: Whether any validation has the metric.
    """

    metric: str
    waited: int
    patience: int
    min_delta: float
    stopped: bool
    is_logged: bool


def replay(run: Run) -> Patience | None:
    """Count as MMEngine's hook does; None without the hook.

    A resumed run counts on (``ValidationStateHook``).
    """
    options = hook_options(run, "EarlyStoppingHook")
    if options is None:
        return None
    name = options["monitor"]
    rule = options.get("rule") or better_direction(name)
    sign = 1.0 if rule == "greater" else -1.0
    patience, min_delta = options.get("patience", 5), options.get("min_delta", 0.1)
    threshold = options.get("stopping_threshold")
    waited, best, stopped = 0, -math.inf, False
    for value in sign * run.val[name] if name in run.val else ():
        is_broken = options.get("check_finite", True) and not math.isfinite(value)
        is_reached = threshold is not None and value > sign * threshold
        if is_broken or is_reached:
            stopped = True
        elif best + min_delta > value:
            waited += 1
            stopped = waited >= patience
        else:
            waited, best = 0, value
        if stopped:
            break
    return Patience(name, waited, patience, min_delta, stopped, name in run.val)
