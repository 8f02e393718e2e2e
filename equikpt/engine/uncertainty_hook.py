"""Radii, scores and intervals, fitted to each validation, kept in checkpoints and applied."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from mmpose.registry import HOOKS

from equikpt.compat.strict_load import unwrap
from equikpt.evaluation.fitting import FittingMetric
from equikpt.evaluation.uncertainty_metric import UncertaintyMetric
from equikpt.structures.checkpoint_records import RecordError
from equikpt.structures.uncertainty import (
    CountUncertainty,
    Uncertainty,
    record_uncertainty,
    recorded_uncertainty,
)


@HOOKS.register_module()
class UncertaintyHook(Hook):
    """Keep the fit of a validation in checkpoints of the weights that it was fitted to.

    It is that of ``UncertaintyMetric``, or of ``CountingMetric`` for models that count. In training
    that is the validation of the step: the best checkpoint has it, and the newest one once it was
    validated. A test, or a validation alone, applies the fit of its checkpoint: predictions get
    radii and probabilities, or intervals. Metrics rank by the model's own scores all the same.

    Validations and tests of models whose codec has a spread get an ``UncertaintyMetric``, with the
    groups of their ``KeypointMetric``, unless they have one.
    """

    priority = "HIGH"  # before the hooks that write checkpoints after a validation

    def __init__(self) -> None:
        self._fitted: Uncertainty | CountUncertainty | None = None

    def before_run(self, runner: Runner) -> None:
        """Add the metric to the loops that the run has built."""
        head = getattr(unwrap(runner.model), "head", None)
        if not hasattr(getattr(head, "decoder", None), "spread"):
            return
        for loop in (runner._val_loop, runner._test_loop):
            evaluator = getattr(loop, "evaluator", None)
            if evaluator is not None and not _metrics(loop):
                rules = (each.rule for each in evaluator.metrics if hasattr(each, "rule"))
                metric = UncertaintyMetric(rule=next(rules, None))
                metric.dataset_meta = evaluator.dataset_meta
                evaluator.metrics.append(metric)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None) -> None:
        """Forget the fit to weights that change now."""
        self._fitted = None

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Take the fit of the validation that has ended."""
        self._fitted = fitted_in(runner._val_loop)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the fit, where there is one of these weights."""
        record_uncertainty(checkpoint, self._fitted)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Apply the fit of a checkpoint that is tested; one of another version is none."""
        if isinstance(runner._train_loop, BaseLoop):
            return
        try:
            record = recorded_uncertainty(checkpoint)
        except RecordError as error:  # no error: a test can write it anew
            runner.logger.warning(f"tested without the fit of the checkpoint: {error}")
            record = None
        unwrap(runner.model).uncertainty = record
        for loop in (runner._val_loop, runner._test_loop):
            for metric in _metrics(loop):
                metric.record = record


def fitted_in(loop: object) -> Uncertainty | CountUncertainty | None:
    """Read the fit to the last validation or test of a loop."""
    return next((each.fitted for each in _metrics(loop) if each.fitted is not None), None)


def _metrics(loop: object) -> list[FittingMetric]:
    """Metrics of a loop that fit uncertainties."""
    evaluator = getattr(loop, "evaluator", None)  # a loop that is not built is a dict, or None
    found = getattr(evaluator, "metrics", ())
    return [each for each in found if isinstance(each, FittingMetric)]
