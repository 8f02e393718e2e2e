"""Scalars in the log: losses of validations, rates and gradient norms of a model's parts, W&B."""

from __future__ import annotations

import math
from collections import defaultdict
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import LogProcessor, Runner
from mmengine.visualization import WandbVisBackend
from mmpose.registry import HOOKS, LOG_PROCESSORS, VISBACKENDS
from torch import nn

from equikpt.compat.strict_load import unwrap


@LOG_PROCESSORS.register_module()
class ValLogProcessor(LogProcessor):
    """MMEngine's ``LogProcessor`` that does not average losses over validations.

    The stock class takes the mean over the last ``window_size`` entries of each loss. In validation
    an entry is a whole validation, so that the logged ``val_loss`` falls when the loss rises, and
    is not the value that early stopping and plateau schedules see. Here it is.
    """

    def _collect_scalars(
        self, custom_cfg: list[dict], runner: Runner, mode: str, reserve_prefix: bool = False
    ) -> dict:
        tag = super()._collect_scalars(custom_cfg, runner, mode, reserve_prefix)
        if mode != "train":
            for name, buffer in runner.message_hub.log_scalars.items():
                key = name if reserve_prefix else name.removeprefix(f"{mode}/")
                if name.startswith(f"{mode}/") and "time" not in key and key in tag:
                    tag[key] = buffer.current()
        return tag


@HOOKS.register_module()
class GroupRatesHook(Hook):
    """Log ``lr_<tier>`` for the groups that ``LayerwiseLrConstructor`` made, where they differ.

    MMEngine logs the rate of the first group alone. Groups of one tier differ in weight decay
    only; stages of the backbone that share a rate are one line.
    """

    priority = "VERY_LOW"

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        """Write down the rates that this step is going to use."""
        groups = runner.optim_wrapper.param_groups
        rates = {group["tier"]: group["lr"] for group in groups if "tier" in group}
        if len(set(rates.values())) < 2:
            return  # the log has it already
        stages = [tier for tier in rates if tier.startswith("backbone.")]
        if len({rates[tier] for tier in stages}) == 1:
            shared = {"backbone": rates[stages[0]]}
            rates = shared | {tier: rate for tier, rate in rates.items() if tier not in stages}
        for tier, rate in rates.items():
            runner.message_hub.update_scalar(f"train/lr_{tier}", rate)


@HOOKS.register_module()
class GradientMonitorHook(Hook):
    """Log the norm of the gradient, before clipping, of each part of the model.

    Every ``interval`` steps ``train/grad_norm_<part>`` goes to the log. Parts that explode or
    vanish are named in a warning, once until they are well again; at the end of an epoch the log
    has the fraction of steps that were clipped, ``train/clipped_share``.

    The norms are taken where the optimizer steps, after clipping, and divided by the factor of
    clipping: nothing runs in the backward pass, and a step in between costs nothing. The factor
    comes from ``grad_norm``, which MMEngine logs when ``optim_wrapper.clip_grad`` clips by norm.

    Args:
        interval: Steps from one measurement to the next.
        exploding: Norm above which a part explodes.
        vanishing: Norm below which it vanishes.

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
        """Measure from inside the optimizer."""
        self.after_train(runner)

        def measure(optimizer: torch.optim.Optimizer, args: tuple, kwargs: dict) -> None:
            if self.every_n_train_iters(runner, self.interval):
                self._norms = norms_by_part(unwrap(runner.model))

        self._handle = runner.optim_wrapper.optimizer.register_step_pre_hook(measure)

    def after_train(self, runner: Runner) -> None:
        """Leave the optimizer as it was."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs: dict | None = None
    ) -> None:
        """Count clipped steps; log and judge the norms of this one."""
        clip = getattr(runner.optim_wrapper, "clip_grad_kwargs", None) or {}
        log = runner.message_hub.log_scalars.get("train/grad_norm")
        factor = 1.0
        if "max_norm" in clip and log is not None:
            total, limit = float(log.current()), float(clip["max_norm"])
            self._steps += 1
            self._clipped += total > limit
            factor = min(1.0, limit / (total + 1e-6)) if limit else 1.0
        for part, clipped in self._norms.items():
            norm = clipped / factor
            runner.message_hub.update_scalar(f"train/grad_norm_{part}", norm)
            self._warn(runner, part, norm)
        self._norms = {}

    def after_train_epoch(self, runner: Runner) -> None:
        """Log how often the gradient was clipped."""
        if self._steps:
            fraction = self._clipped / self._steps
            runner.logger.info(f"{100 * fraction:.0f} % of {self._steps} steps were clipped")
            runner.message_hub.update_scalar("train/clipped_share", fraction)
        self._clipped = self._steps = 0

    def _warn(self, runner: Runner, part: str, norm: float) -> None:
        state = "vanishes" if norm < self.vanishing else ""
        if not math.isfinite(norm) or norm > self.exploding:
            state = "explodes"
        if state and self._warned.get(part) != state:
            runner.logger.warning(
                f"the gradient of {part} {state}: norm {norm:.3g} in step {runner.iter + 1}"
            )
        self._warned[part] = state


def norms_by_part(model: nn.Module) -> dict[str, float]:
    """Norm of the present gradients of each child of a model, of a backbone those of its stages.

    Parameters without a gradient, as frozen ones, are left out.
    """
    gradients: dict[str, list[torch.Tensor]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            parts = name.split(".")
            part = ".".join(parts[:2]) if parts[0] == "backbone" else parts[0]
            gradients[part].append(parameter.grad)
    flat = [gradient for part in gradients.values() for gradient in part]
    if not flat:
        return {}
    norms = torch.stack([norm.float() for norm in torch._foreach_norm(flat)])
    by_part = [part.norm() for part in norms.split([len(part) for part in gradients.values()])]
    return dict(zip(gradients, torch.stack(by_part).tolist(), strict=True))


@VISBACKENDS.register_module()
class IterationWandbVisBackend(WandbVisBackend):
    """:class:`WandbVisBackend` in which nothing is lost and everything has its iteration.

    - W&B drops a row whose step lies before that of an earlier one, and MMEngine counts the steps
      of a training in iterations, those of a validation in epochs. So ``step`` is not handed over:
      each row, an image's too, is one of its own, with the ``iter`` and ``epoch`` that the training
      wrote down last, and ``iter`` is the axis of all charts.
    - The base class uploads every Python file under the current folder, a virtual environment
      included. This one uploads none; the config is recorded.
    - What comes after a run's end starts another run, instead of an error.

    Args:
        save_dir: As the base class.
        define_metric_cfg: As the base class; charts over ``iter`` unless given.
        **kwargs: As the base class, such as ``init_kwargs=dict(project="equikpt")``.

    Raises:
        ImportError: wandb is not installed.
    """

    def __init__(
        self, save_dir: str, define_metric_cfg: dict | list | None = None, **kwargs: Any
    ) -> None:
        if find_spec("wandb") is None:
            raise ImportError(
                "expected wandb for IterationWandbVisBackend, it is not installed; "
                "pip install -r requirements/wandb.txt"
            )
        if define_metric_cfg is None:
            define_metric_cfg = [dict(name="*", step_metric="iter")]
        super().__init__(save_dir, define_metric_cfg=define_metric_cfg, **kwargs)
        self._now: dict[str, int] = {}

    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Record the config, and no code."""
        self.experiment.config.update(config.to_dict(), allow_val_change=True)

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Record an image (H, W, 3) uint8, RGB."""
        wandb = self.experiment
        self.add_scalars({name: wandb.Image(image)})

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a scalar."""
        self.add_scalars({name: value})

    def add_scalars(
        self, scalar_dict: dict, step: int = 0, file_path: str | None = None, **kwargs: Any
    ) -> None:
        """Record scalars of one moment."""
        self._now |= {axis: scalar_dict[axis] for axis in ("iter", "epoch") if axis in scalar_dict}
        self.experiment.log({**self._now, **scalar_dict}, commit=self._commit)

    def close(self) -> None:
        """End the run."""
        if getattr(self, "_env_initialized", False):
            self.experiment.finish()
        self._env_initialized = False
