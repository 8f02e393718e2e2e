"""Release a backbone's stages in the course of training."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from equikpt.engine.freezing import (
    frozen_stages,
    refuse_frozen_random_weights,
    set_frozen_stages,
)
from equikpt.engine.layer_depth import stages_of
from equikpt.engine.wrapping import rewrap_ddp, unwrap


@HOOKS.register_module()
class StageUnfreezeHook(Hook):
    """Train with fewer and fewer frozen stages, by epoch.

    What is frozen depends on the epoch alone, so a resumed run goes on in the right phase. Under
    DDP the model is wrapped anew where a phase begins: DDP fixes at its construction which
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
        """Check what the hook will do before the first step, not in the hundredth epoch."""
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
        is_as_it_should = frozen_stages(model) == phase["frozen_stages"]
        if runner.epoch == phase["begin"] or not is_as_it_should:
            runner.logger.info(
                f"Phase {index + 1} of {len(self.phases)}, {phase['name']}: backbone frozen up to "
                f"stage {phase['frozen_stages']}"
            )
        if is_as_it_should:
            return
        set_frozen_stages(model, phase["frozen_stages"])
        rewrap_ddp(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        """Make the phase one of the curves."""
        runner.message_hub.update_scalar("train/phase", self.phase_at(runner.epoch) + 1)


def _check_phases(phases: Sequence[dict]) -> None:
    needed = {"name", "begin", "frozen_stages"}
    for phase in phases:
        if set(phase) != needed:
            raise ValueError(
                f"expected a phase with the keys {', '.join(sorted(needed))}, got {dict(phase)}"
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
