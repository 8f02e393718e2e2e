"""Gradient norms of a model's parts, in the log and in TensorBoard."""

from __future__ import annotations

import math
from collections import defaultdict

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch import nn

from equikpt.engine.wrapping import unwrap


@HOOKS.register_module()
class GradientMonitorHook(Hook):
    """Log the norm of the gradient, before clipping, of each part of the model.

    Every ``interval`` steps ``train/grad_norm_<part>`` goes to the log. Parts that explode or
    vanish are named in a warning, once until they are well again; at the end of an epoch the log
    has the share of steps that were clipped.

    The norms are taken where the optimizer steps, after clipping, all tensors of a device in one
    call, and divided by the factor of clipping; so nothing runs in the backward pass, and a step in
    between costs nothing. The factor comes from ``grad_norm``, which MMEngine logs when
    ``optim_wrapper.clip_grad`` clips by the norm; without it norms are as they are.

    Args:
        interval: Steps from one look to the next.
        exploding: Norm from which a part is said to explode.
        vanishing: Norm below which it is said to vanish.

    Raises:
        ValueError: An interval below 1, or limits that are not 0 < vanishing < exploding.
    """

    priority = "LOW"

    def __init__(
        self, interval: int = 10, exploding: float = 1000.0, vanishing: float = 1e-6
    ) -> None:
        if interval < 1 or not 0 < vanishing < exploding:
            raise ValueError(
                "expected interval of at least 1 and 0 < vanishing < exploding, got "
                f"interval={interval}, vanishing={vanishing}, exploding={exploding}"
            )
        self.interval = interval
        self.exploding = exploding
        self.vanishing = vanishing
        self._warned: dict[str, str] = {}
        self._norms: dict[str, float] = {}
        self._handle: torch.utils.hooks.RemovableHandle | None = None
        self._clipped = self._steps = 0

    def before_train(self, runner: Runner) -> None:
        """Look on from inside the optimizer."""
        self.after_train(runner)

        def look(optimizer: torch.optim.Optimizer, args: tuple, kwargs: dict) -> None:
            if self.every_n_train_iters(runner, self.interval):
                self._norms = norms_by_part(unwrap(runner.model))

        self._handle = runner.optim_wrapper.optimizer.register_step_pre_hook(look)

    def after_train(self, runner: Runner) -> None:
        """Leave the optimizer as it was."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs: dict | None = None
    ) -> None:
        """Count clipped steps; log and judge what was seen in this one."""
        total, limit = self._total_and_limit(runner)
        if total is not None and limit is not None:
            self._steps += 1
            self._clipped += total > limit
        if not self._norms:
            return
        factor = min(1.0, limit / (total + 1e-6)) if total is not None and limit else 1.0
        for part, clipped in self._norms.items():
            norm = clipped / factor
            runner.message_hub.update_scalar(f"train/grad_norm_{part}", norm)
            self._judge(runner, part, norm)
        self._norms = {}

    def after_train_epoch(self, runner: Runner) -> None:
        """Say how often the gradient was clipped."""
        if self._steps:
            share = self._clipped / self._steps
            runner.logger.info(f"{100 * share:.0f} % of {self._steps} steps were clipped")
            runner.message_hub.update_scalar("train/clipped_share", share)
        self._clipped = self._steps = 0

    def _total_and_limit(self, runner: Runner) -> tuple[float | None, float | None]:
        """Norm before clipping and the largest norm, where MMEngine clips by the norm."""
        clip = getattr(runner.optim_wrapper, "clip_grad_kwargs", None)
        log = runner.message_hub.log_scalars.get("train/grad_norm")
        if not clip or "max_norm" not in clip or log is None:
            return None, None
        return float(log.current()), float(clip["max_norm"])

    def _judge(self, runner: Runner, part: str, norm: float) -> None:
        finite = math.isfinite(norm)
        if not finite or norm > self.exploding:
            state = "explodes"
        elif norm < self.vanishing:
            state = "vanishes"
        else:
            self._warned.pop(part, None)
            return
        if self._warned.get(part) != state:
            self._warned[part] = state
            runner.logger.warning(
                f"the gradient of {part} {state}: norm {norm:.3g} in step {runner.iter + 1}"
            )


def norms_by_part(model: nn.Module) -> dict[str, float]:
    """Norm of the present gradients of each part: the children, of a backbone those of its stages.

    Parameters without a gradient, as frozen ones, are left out.
    """
    gradients: dict[str, list[torch.Tensor]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            gradients[part_of(name)].append(parameter.grad)
    flat = [gradient for part in gradients.values() for gradient in part]
    if not flat:
        return {}
    norms = torch.stack([norm.float() for norm in torch._foreach_norm(flat)])
    sizes = [len(part) for part in gradients.values()]
    by_part = [part.norm() for part in norms.split(sizes)]
    return dict(zip(gradients, torch.stack(by_part).tolist(), strict=True))


def part_of(name: str) -> str:
    """``backbone.<stage>`` for a parameter of the backbone, else the first part of its name."""
    first, _, rest = name.partition(".")
    return f"{first}.{rest.partition('.')[0]}" if first == "backbone" else first
