"""Hooks that compare the keypoints of a run's parts, and note which of them are trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from mmpose.registry import HOOKS

from equikpt.compat.strict_load import unwrap
from equikpt.datasets.labelled_keypoints import labelled_keypoints
from equikpt.metainfo.trained import TRAINED, record_trained, recorded_in, untrained_names
from equikpt.models.keypoint_channels import check_keypoint_channels, describe_other_keypoints
from equikpt.models.trained_keypoints import silence_untrained
from equikpt_runtime.drawing import has_names


@HOOKS.register_module()
class KeypointChannelsHook(Hook):
    """Refuse a head that has another number of keypoints than the data sets of the run."""

    priority = "VERY_HIGH"

    def before_run(self, runner: Runner) -> None:
        """Check each loop that the run has built.

        Raises:
            ValueError: The numbers differ.
        """
        for metainfo in _metainfos(runner):
            check_keypoint_channels(unwrap(runner.model), metainfo)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Warn of weights that were trained on as many other keypoints."""
        for sentence in {describe_other_keypoints(checkpoint, m) for m in _metainfos(runner)}:
            if sentence:
                runner.logger.warning(sentence)


@HOOKS.register_module()
class TrainedKeypointsHook(Hook):
    """Note which keypoints have labels in training, and keep the others out of all output.

    The log names the others. The record is that of :mod:`equikpt.metainfo.trained`: every
    checkpoint of the run has it, and data sets and metrics of the run find it in their metainfo. A
    run that starts from other weights counts its own labels alone, a resumed one those of the run
    that it goes on with as well. A test or validation alone goes by its checkpoint. The model gives
    nothing for keypoints that are not trained (:func:`silence_untrained`).
    """

    priority = "VERY_HIGH"

    def __init__(self) -> None:
        self._trained: np.ndarray | None = None

    def before_run(self, runner: Runner) -> None:
        """Count the labels of a training."""
        loop = runner._train_loop
        if isinstance(loop, BaseLoop) and self._trained is None:
            dataset = loop.dataloader.dataset
            self._trained = labelled_keypoints(dataset) if _is_named(dataset) else None
        self._spread(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take over the record of a run that goes on, or of the weights of a test."""
        named = [each for each in map(_dataset, _loops(runner)) if _is_named(each)]
        if not named:
            return
        recorded = recorded_in(checkpoint, named[0].metainfo["num_keypoints"])
        if not isinstance(runner._train_loop, BaseLoop):
            self._trained = recorded
        elif runner._resume and self._trained is not None and not recorded.all():
            self._trained = self._trained | recorded
        self._spread(runner)

    def before_train(self, runner: Runner) -> None:
        """Name the keypoints that get no label."""
        if self._trained is None or self._trained.all():
            return
        names = untrained_names(_dataset(runner._train_loop).metainfo)
        runner.logger.warning(
            f"{len(names)} of {len(self._trained)} keypoints have no label in training: "
            f"{', '.join(names)}; they are not trained and never output"
        )

    def _spread(self, runner: Runner) -> None:
        """Write the record into the metainfo of each loop's data set and metrics."""
        if self._trained is None:
            return
        model = unwrap(runner.model)
        silence_untrained(model, self._trained)
        if branch := getattr(model, "visibility", None):
            branch.trained = self._trained
        for loop in _loops(runner):
            dataset = _dataset(loop)
            if not _is_named(dataset):
                continue
            before = dataset.metainfo.get(TRAINED)
            record_trained(dataset._metainfo, self._trained)
            if hasattr(loop, "evaluator") and dataset.metainfo.get(TRAINED) != before:
                loop.evaluator.dataset_meta = dataset.metainfo


def _loops(runner: Runner) -> list[BaseLoop]:
    """Loops that the runner has built."""
    loops = (runner._train_loop, runner._val_loop, runner._test_loop)
    return [loop for loop in loops if isinstance(loop, BaseLoop)]


def _dataset(loop: BaseLoop) -> Any:
    return loop.dataloader.dataset


def _metainfos(runner: Runner) -> list[Mapping]:
    datasets = map(_dataset, _loops(runner))
    return [dataset.metainfo for dataset in datasets if hasattr(dataset, "metainfo")]


def _is_named(dataset: Any) -> bool:
    """Tell a data set of named keypoints in MMPose's form."""
    metainfo = getattr(dataset, "metainfo", {})
    return "sigmas" in metainfo and has_names(metainfo)
