"""Hooks whose effect depends on the epoch alone, so that a resumed run is the same run."""

from __future__ import annotations

import random
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.hooks import Hook
from mmengine.registry import FUNCTIONS
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from equikpt.compat.strict_load import unwrap
from equikpt.core.pipelines import fill_codec
from equikpt.engine.stages import (
    frozen_stages,
    refuse_frozen_random_weights,
    rewrap_ddp,
    set_frozen_stages,
    stages_of,
)

PHASE_KEYS = {"name", "begin", "frozen_stages"}


def seed_everything(seed: int, epoch: int, rank: int) -> None:
    """Seed Python, numpy and torch for one epoch on one rank."""
    state = np.random.SeedSequence([seed, epoch, rank]).generate_state(3)
    random.seed(int(state[0]))
    np.random.seed(int(state[1]))  # noqa: NPY002 - MMPose's transforms draw from this state
    torch.manual_seed(int(state[2]))


@FUNCTIONS.register_module()
def equikpt_worker_init_fn(worker_id: int) -> None:
    """Seed a loader worker from torch's own seed for it, which is new in every epoch.

    MMEngine's default seeds a worker with a constant, so that without persistent workers each
    epoch draws the same augmentations. torch derives its worker seeds from the main process,
    which :class:`EpochSeedHook` seeds by epoch.
    """
    state = np.random.SeedSequence(torch.initial_seed()).generate_state(2)
    random.seed(int(state[0]))
    np.random.seed(int(state[1]))  # noqa: NPY002
    cv2.setNumThreads(0)  # workers are the parallelism


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed each epoch from (seed, epoch, rank): an interrupted and resumed run is the same run.

    Augmentation, dropout and the loader workers' seeds follow from it (set
    ``persistent_workers=False`` and ``worker_init_fn=dict(type="equikpt_worker_init_fn")``). The
    order of the images already depends on the epoch alone (``DistSamplerSeedHook``).
    """

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed the main process; workers are forked after this."""
        seed_everything(runner.seed, runner.epoch, runner.rank)


@HOOKS.register_module()
class PipelineSwitchHook(Hook):
    """Replace the training pipeline at the beginning of an epoch.

    Args:
        switches: ``dict(begin=…, pipeline=[…])`` in rising order of ``begin``, the first epoch
            (counted from 0) with this pipeline. Before the first of them the dataset's own runs.
            Crops and targets take the dataset's codec where they name none.

    Raises:
        ValueError: Switches out of order.
    """

    def __init__(self, switches: Sequence[dict]) -> None:
        begins = [switch["begin"] for switch in switches]
        if sorted(set(begins)) != begins:
            raise ValueError(
                f"expected switches in rising order of begin, got {begins}; give each epoch one "
                "pipeline"
            )
        self.switches = [(switch["begin"], switch["pipeline"]) for switch in switches]
        self._passed = 0

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the pipeline of this epoch, before the loader's workers are forked."""
        passed = [pipeline for begin, pipeline in self.switches if begin <= runner.epoch]
        if len(passed) == self._passed:
            return
        self._passed = len(passed)
        loader = runner.train_dataloader
        codec = getattr(loader.dataset, "codec", None)
        loader.dataset.pipeline = pipeline = Compose(fill_codec(passed[-1], codec))
        loader._iterator = None  # persistent workers hold a copy of the old one
        names = ", ".join(type(step).__name__ for step in pipeline.transforms)
        runner.logger.info(f"Training pipeline from epoch {runner.epoch + 1} on: {names}")


@HOOKS.register_module()
class StageUnfreezeHook(Hook):
    """Train with fewer and fewer frozen stages, by epoch.

    Under DDP the model is wrapped anew where a phase begins: DDP fixes at its construction which
    gradients it waits for. The EMA model is not frozen itself: it averages weights that stand
    still.

    Args:
        phases: ``dict(name=…, begin=…, frozen_stages=…)`` in order; ``begin`` is the first epoch
            of the phase, counted from 0, the first phase begins at 0. ``frozen_stages`` as the
            backbone takes it (-1: nothing), never more than in the phase before.
        random_weights: Freeze random weights too, to try phases out.

    Raises:
        ValueError: Phases out of order, or ones that disagree with the model or the optimizer;
            random weights that would be frozen.
    """

    priority = "HIGH"  # before hooks that act on what trains

    def __init__(self, phases: Sequence[dict], random_weights: bool = False) -> None:
        _check_phases(phases)
        self.random_weights = random_weights
        self.phases = [dict(phase) for phase in phases]

    def phase_at(self, epoch: int) -> int:
        """Index of the phase that an epoch (counted from 0) belongs to."""
        return max(i for i, phase in enumerate(self.phases) if phase["begin"] <= epoch)

    def before_train(self, runner: Runner) -> None:
        """Check all phases before the first step, not in the hundredth epoch."""
        if not self.random_weights:
            refuse_frozen_random_weights(runner.cfg)
        model = unwrap(runner.model)
        found, first = frozen_stages(model), self.phases[0]["frozen_stages"]
        if found != first:
            raise ValueError(
                f"expected model.backbone.frozen_stages={first}, as the first phase has it, found "
                f"{found}; freezing begins when the model is built, before DDP wraps it"
            )
        known = {id(p) for group in runner.optim_wrapper.param_groups for p in group["params"]}
        stages, last = stages_of(model), self.phases[-1]["frozen_stages"]
        for name, parameter in model.named_parameters():
            if stages.of_parameter[name] > last and id(parameter) not in known:
                raise ValueError(
                    f"expected {name} in the optimizer, since it is released later; use "
                    "constructor='LayerwiseLrConstructor' with "
                    f"paramwise_cfg=dict(frozen_stages={last}, frozen_at_start={first})"
                )

    def before_train_epoch(self, runner: Runner) -> None:
        """Enter the phase of this epoch."""
        index = self.phase_at(runner.epoch)
        phase = self.phases[index]
        model = unwrap(runner.model)
        must_change = frozen_stages(model) != phase["frozen_stages"]
        if must_change or runner.epoch == phase["begin"]:
            runner.logger.info(
                f"Phase {index + 1} of {len(self.phases)}, {phase['name']}: backbone frozen up to "
                f"stage {phase['frozen_stages']}"
            )
        if must_change:
            set_frozen_stages(model, phase["frozen_stages"])
            rewrap_ddp(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        """Make the phase one of the curves."""
        runner.message_hub.update_scalar("train/phase", self.phase_at(runner.epoch) + 1)


def _check_phases(phases: Sequence[dict]) -> None:
    for phase in phases:
        if set(phase) != PHASE_KEYS:
            raise ValueError(
                f"expected a phase with the keys {', '.join(sorted(PHASE_KEYS))}, got {dict(phase)}"
            )
    begins = [phase["begin"] for phase in phases]
    if not phases or begins[0] != 0 or sorted(set(begins)) != begins:
        raise ValueError(
            f"expected phases that begin at epoch 0 and in rising order, got {begins}; epochs are "
            "counted from 0"
        )
    frozen = [phase["frozen_stages"] for phase in phases]
    if sorted(frozen, reverse=True) != frozen:
        raise ValueError(
            f"expected frozen_stages that never grow from phase to phase, got {frozen}; stages are "
            "released, not frozen, in the course of training"
        )


@HOOKS.register_module()
class TeacherForcingNoiseHook(Hook):
    """Set ``model.head.given_noise``, by epoch: 0 at first, then rising in a line to ``sigma``.

    In training a sequence is given true points, in inference its own, which are a little off; noise
    that grows as the model learns makes the two alike. Bengio et al., 2015,
    https://arxiv.org/abs/1506.03099, mix in predictions instead.

    Args:
        sigma: Standard deviation at the end, in normalised coords (−1 to 1 over the input).
        begin: Fraction of the epochs after which the noise begins, 0 to 1.
        end: Fraction after which it stays.

    Raises:
        ValueError: Options out of their range, or a head that is not given points.
    """

    def __init__(self, sigma: float = 0.02, begin: float = 0.1, end: float = 0.5) -> None:
        if not sigma >= 0 or not 0 <= begin < end <= 1:
            raise ValueError(
                "expected sigma of at least 0 and 0 <= begin < end <= 1, got "
                f"sigma={sigma}, begin={begin}, end={end}"
            )
        self.sigma = sigma
        self.begin = begin
        self.end = end

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the noise of this epoch."""
        head = unwrap(runner.model).head
        if not hasattr(head, "given_noise"):
            raise ValueError(
                f"expected a head with given_noise, as SequentialAttentionHead, got "
                f"{type(head).__name__}; leave TeacherForcingNoiseHook out of custom_hooks"
            )
        progress = max(0.0, runner.epoch / runner.max_epochs - self.begin)
        head.given_noise = self.sigma * min(1.0, progress / (self.end - self.begin))
        runner.message_hub.update_scalar("train/given_noise", head.given_noise)
