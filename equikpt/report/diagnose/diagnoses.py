"""Check one run by every rule."""

from __future__ import annotations

from collections.abc import Callable

from equikpt.core.issues import SEVERITIES, Issue
from equikpt.report.diagnose import loss_diagnoses, speed_diagnoses, validation_diagnoses
from equikpt.report.run.run_state import State

RULES: tuple[Callable[[State], Issue | None], ...] = (
    loss_diagnoses.not_finite,
    loss_diagnoses.not_learning,
    loss_diagnoses.diverging,
    loss_diagnoses.exploding_gradient,
    loss_diagnoses.vanishing_gradient,
    validation_diagnoses.unlogged_metric,
    validation_diagnoses.exploding,
    validation_diagnoses.overfitting,
    validation_diagnoses.gap,
    validation_diagnoses.plateau,
    speed_diagnoses.waits_for_data,
    speed_diagnoses.grows_slower,
    speed_diagnoses.validates_long,
)


def diagnose(state: State) -> list[Issue]:
    """List what the rules find, the worst first."""
    found = [issue for rule in RULES if (issue := rule(state)) is not None]
    return sorted(found, key=lambda each: SEVERITIES.index(each.severity))
