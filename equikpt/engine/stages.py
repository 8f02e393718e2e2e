"""Stages of a network (stem, later stages, neck, head), and freezing by them.

Layer-wise learning rates and freezing both count in these stages. The rules are tables of regular
expressions over parameter names, one table a family of backbones; a parameter that none of them
matches is an error, because a layer that silently takes the head's rate is how a recipe fails
unnoticed.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from equikpt.compat.strict_load import unwrap
from equikpt.core.configs import backbone_inits, strip_pretrained_init
from equikpt.models.stage_rules import TIMM_RULES, Rule, assign_stages


@dataclass(frozen=True)
class Family:
    """Stages of one family of backbones.

    Args:
        name: For messages.
        classes: Class names in the registry, of the backbone itself or of a class it derives from.
        rules: ``(pattern, stage)`` in order of precedence, matched at the beginning of a
            parameter's name within the backbone.
        freezes: Whether the class takes ``frozen_stages``; a value v freezes stages 0 to v.
    """

    name: str
    classes: tuple[str, ...]
    rules: tuple[Rule, ...]
    freezes: bool = True


FAMILIES: tuple[Family, ...] = (
    Family(
        "HRNet",
        ("HRNet",),
        (
            (r"(conv[12]|bn[12]|norm[12])\.", 0),
            (r"(layer1|transition1)\.", 1),  # frozen_stages=1 freezes the transition as well
            (r"(?:stage|transition)(\d+)\.", "+0"),
        ),
    ),
    Family(
        "Lite-HRNet",
        ("LiteHRNet",),
        ((r"stem\.", 0), (r"(?:transition|stage)(\d+)\.", "+1"), (r"head_layer\.", "last")),
        freezes=False,
    ),
    Family("CSPNeXt", ("CSPNeXt", "CSPDarknet"), ((r"stem\.", 0), (r"stage(\d+)\.", "+0"))),
    Family("ResNet", ("ResNet",), ((r"(stem|conv1|bn1|norm1)\.", 0), (r"layer(\d+)\.", "+0"))),
    Family(
        "ViT",
        ("VisionTransformer", "BEiTViT"),
        (
            (r"(cls_token|pos_embed|mask_token|reg_token)$|(patch_embed|pre_norm)\.", 0),
            (r"layers\.(\d+)\.", "+1"),
            (r"(ln1|ln2|norm)\.", "last"),
        ),
    ),
    Family("timm", ("TimmBackbone",), TIMM_RULES),
)


@dataclass(frozen=True)
class Stages:
    """The stage of every parameter of a pose estimator.

    Args:
        of_parameter: Full parameter name to stage; 0 is the stem.
        num_backbone: Stages of the backbone, the stem included. The neck is stage
            ``num_backbone``, the head ``num_backbone + 1``.
    """

    of_parameter: dict[str, int]
    num_backbone: int

    @property
    def head(self) -> int:
        """The last stage."""
        return self.num_backbone + 1

    def label(self, stage: int) -> str:
        """``"backbone.2"``, ``"neck"`` or ``"head"``."""
        return {self.num_backbone: "neck", self.head: "head"}.get(stage, f"backbone.{stage}")


def family_of(backbone: nn.Module) -> Family:
    """The table that knows a backbone.

    Raises:
        ValueError: None does.
    """
    ancestors = {cls.__name__ for cls in type(backbone).__mro__}
    for family in FAMILIES:
        if ancestors & {*family.classes}:
            return family
    raise ValueError(
        f"expected a backbone whose stages are known ({', '.join(f.name for f in FAMILIES)}), got "
        f"{type(backbone).__name__}; add its family to FAMILIES in equikpt/engine/stages.py"
    )


def stages_of(model: nn.Module) -> Stages:
    """Assign every parameter of a pose estimator (``backbone``, ``neck``, ``head``) to its stage.

    Raises:
        ValueError: No family knows the backbone, or a parameter matches no rule.
    """
    backbone: Any = model.backbone
    family = family_of(backbone)
    names = (name for name, _ in backbone.named_parameters())
    in_backbone = dict(assign_stages(names, family.rules, family.name))
    num_backbone = max(in_backbone.values()) + 1
    outside = {"neck": num_backbone, "head": num_backbone + 1}
    of_parameter = {}
    for name, _ in model.named_parameters():
        part, _, rest = name.partition(".")
        if part != "backbone" and part not in outside:
            raise ValueError(
                f"expected parameters of backbone, neck or head, got {name}; layer-wise rates know "
                "no stage for it: give it one in equikpt/engine/stages.py"
            )
        of_parameter[name] = in_backbone[rest] if part == "backbone" else outside[part]
    return Stages(of_parameter, num_backbone)


def frozen_stages(model: nn.Module) -> int:
    """The deepest frozen stage of the model's backbone by ``requires_grad``, -1 where none is.

    Raises:
        ValueError: Some parameters of a stage are frozen and others not, or a deeper stage is
            frozen than one that trains.
    """
    stages = stages_of(model)
    by_state: dict[bool, dict[int, str]] = {True: {}, False: {}}  # trains: stage: first name
    for name, parameter in model.named_parameters():
        if name.startswith("backbone."):
            by_state[parameter.requires_grad].setdefault(stages.of_parameter[name], name)
    trains, frozen = by_state[True], by_state[False]
    deepest, first_trained = max(frozen, default=-1), min(trains, default=stages.num_backbone)
    if first_trained <= deepest:
        raise ValueError(
            f"expected whole stages of the backbone to be frozen, from the stem on, but "
            f"{frozen[deepest]} is frozen while {trains[first_trained]} trains; freeze with "
            "model.backbone.frozen_stages alone"
        )
    return deepest


def set_frozen_stages(model: nn.Module, value: int) -> None:
    """Freeze stages 0 to ``value`` of the backbone, BN statistics too, and no others.

    Raises:
        ValueError: The backbone takes no ``frozen_stages``, or has fewer stages.
    """
    backbone: Any = model.backbone
    if not family_of(backbone).freezes or not hasattr(backbone, "frozen_stages"):
        raise ValueError(
            f"expected a backbone with frozen_stages, but {type(backbone).__name__} has none; "
            "train its early stages at a small rate instead (paramwise_cfg.module_lr_mult)"
        )
    last = stages_of(model).num_backbone - 1
    if not -1 <= value <= last:
        raise ValueError(
            f"expected frozen_stages from -1 (nothing) to {last} for this "
            f"{type(backbone).__name__}, got {value}"
        )
    for parameter in backbone.parameters():
        parameter.requires_grad_(True)
    backbone.frozen_stages = value
    backbone.train(backbone.training)  # freezes, and sets BN to eval where frozen


def refuse_frozen_random_weights(cfg: Any) -> None:
    """Refuse a config that freezes what was never trained: random features stay random.

    Raises:
        ValueError: Stages of the backbone are frozen, and it begins with random weights.
    """
    frozen = cfg.get("model", {}).get("backbone", {}).get("frozen_stages", -1)
    if frozen is None or frozen < 0 or cfg.get("resume") or _weights_keys(cfg):
        return
    raise ValueError(
        f"expected weights for the backbone, whose stages up to {frozen} are frozen, found "
        "random ones: fetch some with tools/download_checkpoints.py and name them as load_from, "
        "or train all stages with --from-scratch (model.backbone.frozen_stages=-1 and no phases)"
    )


def start_from_scratch(cfg: Any) -> list[str]:
    """Have a config train from random weights, in place: all stages, from the first step on.

    What makes sense only from weights goes: frozen stages, phases that release them, and a rate of
    the backbone's own.

    Returns:
        The keys that were changed.

    Raises:
        ValueError: The config starts from random weights anyway.
    """
    backbone, changed = cfg.model.backbone, _weights_keys(cfg)
    if not changed:
        raise ValueError(
            "expected a config that starts from weights, this one starts from random ones anyway; "
            "leave --from-scratch out"
        )
    cfg.load_from = None
    strip_pretrained_init(cfg.model)
    if backbone.get("frozen_stages", -1) >= 0:
        backbone.frozen_stages = -1
        changed.append("model.backbone.frozen_stages")
    paramwise = cfg.optim_wrapper.get("paramwise_cfg") or {}
    for key in ("module_lr_mult", "decay_rate", "frozen_stages", "frozen_at_start"):
        if paramwise.pop(key, None) is not None:
            changed.append(f"optim_wrapper.paramwise_cfg.{key}")
    for name, hook in list((cfg.get("default_hooks") or {}).items()):
        if hook and hook.get("type") == "StageUnfreezeHook":
            del cfg.default_hooks[name]
            changed.append(f"default_hooks.{name}")
        elif hook and hook.get("type") in ("RemapCheckpointHook", "BackboneCheckpointHook"):
            hook.random_weights = True
    return changed


def _weights_keys(cfg: Any) -> list[str]:
    """Keys of a config that name the weights its model starts from."""
    model = cfg.get("model", {})
    pretrained = any(each.get("type") == "Pretrained" for each in backbone_inits(model))
    found = {
        "load_from": cfg.get("load_from"),
        "model.backbone.weights": model.get("backbone", {}).get("weights"),
        "model.backbone.init_cfg": pretrained,
    }
    return [key for key, value in found.items() if value]


def rewrap_ddp(runner: Runner) -> None:
    """Wrap the runner's model anew, where it is wrapped at all.

    DDP fixes at its construction which parameters it waits for and how their gradients lie in
    memory. Whoever changes either afterwards calls this.
    """
    if not is_model_wrapper(runner.model):
        return
    model = unwrap(runner.model)
    runner.model = None  # the old wrapper's hooks on the gradients go with it
    gc.collect()
    runner.model = runner.wrap_model(runner.cfg.get("model_wrapper_cfg"), model)
