"""Learning rates by depth, for any backbone that :mod:`equikpt.engine.stages` knows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmpose.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from equikpt.compat.strict_load import unwrap
from equikpt.engine.stages import Stages, frozen_stages, stages_of

MODULES = ("backbone", "neck", "head")
CUSTOM = ("lr_mult", "decay_mult")


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerwiseLrConstructor(DefaultOptimWrapperConstructor):
    """Few parameter groups, each with a rate that depends on how deep its parameters lie.

    Used as ``optim_wrapper=dict(constructor="LayerwiseLrConstructor", paramwise_cfg=dict(…))``.
    MMPose's ``LayerDecayOptimWrapperConstructor`` knows the names of one ViT and gives everything
    else the head's rate; MMEngine's default makes a group of every parameter, which makes the
    optimizer slow.

    Keys of ``paramwise_cfg``, all optional:

    - ``module_lr_mult``: ``dict(backbone=0.1, neck=1.0, head=1.0)``, factors of the base rate. A
      module that is not named has factor 1.
    - ``decay_rate``: geometric instead: a parameter ``n`` stages before the head has the factor
      ``decay_rate ** n`` (https://arxiv.org/abs/1801.06146, section 3.2). Not with
      ``module_lr_mult``.
    - ``frozen_stages``: stages 0 to this one never train. It freezes nothing, since freezing after
      DDP has wrapped the model breaks DDP: ``model.backbone.frozen_stages`` does, and what that
      froze is the default. A value is compared with it.
    - ``frozen_at_start``: the deepest stage that is frozen at first, where ``StageUnfreezeHook``
      releases stages later. Their parameters, those above ``frozen_stages`` (here -1 by default),
      are in the optimizer from the beginning. Default: ``frozen_stages``.
    - ``norm_decay_mult``, ``bias_decay_mult``: factors of the weight decay for the vectors and
      scalars among the parameters (norms, biases, layer scales), default 0.
    - ``custom_keys``: ``{regex: dict(lr_mult=…, decay_mult=…)}`` over full parameter names; the
      factors come on top of the others. The longest pattern that is found wins.

    Raises:
        ValueError: An unknown key, a pattern that finds no parameter, a parameter without a stage,
            or a model that is not frozen as ``frozen_stages`` says.
    """

    KEYS = (
        *("module_lr_mult", "decay_rate", "frozen_stages", "frozen_at_start"),
        *("norm_decay_mult", "bias_decay_mult", "custom_keys"),
    )

    paramwise_cfg: dict
    _is_wrapped = False

    def _validate_cfg(self) -> None:
        super()._validate_cfg()
        _refuse_unknown(self.paramwise_cfg, self.KEYS, "paramwise_cfg")
        by_module = self.paramwise_cfg.get("module_lr_mult", {})
        _refuse_unknown(by_module, MODULES, "paramwise_cfg.module_lr_mult")
        for pattern, options in self.paramwise_cfg.get("custom_keys", {}).items():
            _refuse_unknown(options, CUSTOM, f"paramwise_cfg.custom_keys[{pattern!r}]")
        if "module_lr_mult" in self.paramwise_cfg and "decay_rate" in self.paramwise_cfg:
            raise ValueError(
                "expected module_lr_mult or decay_rate in paramwise_cfg, got both; keep one "
                "(paramwise_cfg=dict(_delete_=True, …) drops what is inherited)"
            )
        if self.base_lr is None:
            raise ValueError(
                "expected optim_wrapper.optimizer.lr, found none; the other rates are its fractions"
            )

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer wrapper for a model, wrapped in DDP or not."""
        self._is_wrapped = is_model_wrapper(model)
        # an empty one would mean no groups and no checks
        self.paramwise_cfg = self.paramwise_cfg or dict(module_lr_mult={})
        return super().__call__(unwrap(model))

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = "", **_: Any) -> None:
        """Add the merged groups of the whole model to ``params``.

        Groups hold everything that trains now or later, one for each rate and weight decay.
        """
        stages = stages_of(module)
        never = self._check_frozen(module, stages)
        custom = self._custom_keys(module)
        groups: dict[tuple, dict] = {}
        for name, parameter in module.named_parameters():
            stage = stages.of_parameter[name]
            if stage <= never:
                continue
            options = custom.get(name, {})
            kind = "bias_decay_mult" if name.endswith("bias") else "norm_decay_mult"
            decay = self.paramwise_cfg.get(kind, 0.0) if parameter.ndim <= 1 else 1.0
            # a pattern's own rate is worth a line of its own in the log
            tier = options["pattern"] if "lr_mult" in options else stages.label(stage)
            rate = self._depth_scale(stage, stages) * options.get("lr_mult", 1.0)
            decay *= options.get("decay_mult", 1.0)
            group = dict(params=[], param_names=[], tier=tier, lr=self.base_lr * rate)
            if self.base_wd is not None:
                group["weight_decay"] = self.base_wd * decay
            group = groups.setdefault((tier, rate, decay), group)
            group["params"].append(parameter)
            group["param_names"].append(name)
        params.extend(groups.values())

    def _depth_scale(self, stage: int, stages: Stages) -> float:
        rate = self.paramwise_cfg.get("decay_rate")
        if rate is not None:
            return float(rate) ** (stages.head - stage)
        module_lr_mult = self.paramwise_cfg.get("module_lr_mult", {})
        return float(module_lr_mult.get(stages.label(stage).split(".")[0], 1.0))

    def _custom_keys(self, model: nn.Module) -> dict[str, dict]:
        """Options by parameter name, from the longest pattern that is found in it."""
        options = self.paramwise_cfg.get("custom_keys", {})
        chosen: dict[str, dict] = {}
        for pattern in sorted(options, key=len):  # longer ones overwrite
            found = [name for name, _ in model.named_parameters() if re.search(pattern, name)]
            if not found:
                raise ValueError(
                    f"expected the pattern {pattern!r} of paramwise_cfg.custom_keys to be found in "
                    "the name of a parameter, it is in none; print the names with "
                    "tools/param_report.py CONFIG --names"
                )
            chosen |= {name: {**options[pattern], "pattern": pattern} for name in found}
        return chosen

    def _check_frozen(self, model: nn.Module, stages: Stages) -> int:
        """Compare what is frozen with the options; the deepest stage that never trains."""
        before = frozen_stages(model)
        model.train()  # as the train loop will do: what is frozen must then stay in eval
        found = frozen_stages(model)
        at_start = self.paramwise_cfg.get("frozen_at_start")
        never = self.paramwise_cfg.get("frozen_stages", found if at_start is None else -1)
        expected = never if at_start is None else at_start
        if expected < never:
            raise ValueError(
                f"expected frozen_at_start of at least frozen_stages={never}, got {expected}; "
                "stages are released in the course of training, not frozen"
            )
        if self._is_wrapped and found != before:
            raise ValueError(
                f"expected {type(model.backbone).__name__} to be frozen when it is built, but it "
                "freezes in train(), after DDP has wrapped it; use FreezingCSPNeXt for CSPNeXt, or "
                "call _freeze_stages() at the end of the backbone's __init__"
            )
        if found != expected:
            raise ValueError(
                f"expected the backbone to be frozen up to stage {expected} (-1: not at all), found"
                f" {found}; set model.backbone.frozen_stages={expected} or change "
                "paramwise_cfg.frozen_stages"
            )
        moving = [
            name
            for name, module in model.named_modules()
            if isinstance(module, _BatchNorm) and module.training
            if stages.of_parameter.get(f"{name}.weight", expected + 1) <= expected
        ]
        if moving:
            raise ValueError(
                f"expected frozen BN statistics up to stage {expected}, but those of {moving[0]} "
                "still move; freeze by model.backbone.frozen_stages, which keeps them in eval"
            )
        return never


def _refuse_unknown(options: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in options:
        if key not in known:
            raise ValueError(
                f"expected keys of {where} among {', '.join(known)}, got {key!r}; correct it, or "
                "remove it: nothing would read it"
            )
