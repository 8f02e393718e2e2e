"""Freezing whole stages of a backbone, and reading off what is frozen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from equikpt.engine.layer_depth import Stages, family_of, stages_of


def frozen_stages(model: nn.Module) -> int:
    """The deepest frozen stage of the model's backbone, -1 where none is.

    Read off ``requires_grad``, and checked: all stages up to it are frozen whole, none after it is
    frozen in part.

    Raises:
        ValueError: Some parameters of a stage are frozen and others not, or a deeper stage is
            frozen than one that trains.
    """
    stages = stages_of(model)
    trains: dict[int, list[str]] = {}
    frozen: dict[int, list[str]] = {}
    backbone: Any = model.backbone
    for name, parameter in backbone.named_parameters(prefix="backbone"):
        (trains if parameter.requires_grad else frozen).setdefault(
            stages.of_parameter[name], []
        ).append(name)
    deepest = max(frozen, default=-1)
    first_trained = min(trains, default=stages.num_backbone)
    if first_trained <= deepest:
        raise ValueError(
            f"expected whole stages of the backbone to be frozen, from the stem on, but "
            f"{frozen[deepest][0]} is frozen while {trains[first_trained][0]} trains; freeze with "
            "model.backbone.frozen_stages alone"
        )
    return deepest


def set_frozen_stages(model: nn.Module, value: int) -> None:
    """Freeze stages 0 to ``value`` of the backbone and let all later ones train (-1: train all).

    Works through the backbone's own ``frozen_stages``, so that its ``train()`` keeps the BN
    statistics of these stages still as well.

    Raises:
        ValueError: The backbone takes no ``frozen_stages``, or has fewer stages.
    """
    backbone: Any = model.backbone
    family = family_of(backbone)
    last = stages_of(model).num_backbone - 1
    if not family.freezes or not hasattr(backbone, "frozen_stages"):
        raise ValueError(
            f"expected a backbone with frozen_stages, but {type(backbone).__name__} has none; "
            "train its early stages at a small rate instead (paramwise_cfg.module_lr_mult)"
        )
    if not -1 <= value <= last:
        raise ValueError(
            f"expected frozen_stages from -1 (nothing) to {last} for this "
            f"{type(backbone).__name__}, got {value}"
        )
    for parameter in backbone.parameters():
        parameter.requires_grad_(True)
    backbone.frozen_stages = value
    backbone.train(backbone.training)  # freezes, and sets BN to eval where frozen


def starts_from_weights(cfg: Any) -> bool:
    """Tell whether a run's backbone begins with trained weights.

    Args:
        cfg: The run's config: ``load_from``, ``resume``, and ``weights`` or ``init_cfg`` of the
            backbone.
    """
    backbone = cfg.get("model", {}).get("backbone", {})
    init = backbone.get("init_cfg") or {}
    inits = [init] if isinstance(init, dict) else init
    pretrained = any(each.get("type") == "Pretrained" for each in inits)
    return bool(cfg.get("load_from") or cfg.get("resume") or backbone.get("weights") or pretrained)


def refuse_frozen_random_weights(cfg: Any) -> None:
    """Refuse to freeze what was never trained: random features stay random.

    Args:
        cfg: As for :func:`starts_from_weights`.

    Raises:
        ValueError: Stages of the backbone are frozen, and it begins with random weights.
    """
    frozen = cfg.get("model", {}).get("backbone", {}).get("frozen_stages", -1)
    if frozen is not None and frozen >= 0 and not starts_from_weights(cfg):
        raise ValueError(
            f"expected weights for the backbone, whose stages up to {frozen} are frozen, found "
            "random ones: fetch some with tools/download_checkpoints.py and name them by "
            "--cfg-options load_from=…, or train all stages with model.backbone.frozen_stages=-1 "
            "and a config without phases"
        )


def unfrozen_batchnorms(model: nn.Module, stages: Stages, up_to: int) -> Iterable[str]:
    """Names of BN layers in stages 0 to ``up_to`` whose statistics still move."""
    backbone: Any = model.backbone
    for name, module in backbone.named_modules(prefix="backbone"):
        if not isinstance(module, _BatchNorm) or not module.training:
            continue
        if stages.of_parameter.get(f"{name}.weight", up_to + 1) <= up_to:
            yield name
