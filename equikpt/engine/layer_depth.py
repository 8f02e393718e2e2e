"""Assign each parameter to a stage of its network: stem, later stages, neck, head.

Layer-wise learning rates and freezing both count in these stages. The rules are tables of regular
expressions over parameter names, one table a family of backbones; a parameter that none of them
matches is an error, because a layer that silently takes the head's rate is how a recipe fails
unnoticed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from equikpt.models.backbones.stage_rules import TIMM_RULES, Rule, assign_stages


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
        (
            (r"stem\.", 0),
            (r"(?:transition|stage)(\d+)\.", "+1"),
            (r"head_layer\.", "last"),
        ),
        freezes=False,
    ),
    Family("CSPNeXt", ("CSPNeXt", "CSPDarknet"), ((r"stem\.", 0), (r"stage(\d+)\.", "+0"))),
    Family(
        "ResNet",
        ("ResNet",),
        ((r"(stem|conv1|bn1|norm1)\.", 0), (r"layer(\d+)\.", "+0")),
    ),
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
    def neck(self) -> int:
        """The stage after the backbone's last."""
        return self.num_backbone

    @property
    def head(self) -> int:
        """The last stage."""
        return self.num_backbone + 1

    def label(self, stage: int) -> str:
        """``"backbone.2"``, ``"neck"`` or ``"head"``."""
        return {self.neck: "neck", self.head: "head"}.get(stage, f"backbone.{stage}")


def family_of(backbone: nn.Module) -> Family:
    """The table that knows a backbone.

    Raises:
        ValueError: None does.
    """
    ancestors = [cls.__name__ for cls in type(backbone).__mro__]
    for family in FAMILIES:
        if any(name in ancestors for name in family.classes):
            return family
    raise ValueError(
        f"expected a backbone whose stages are known ({', '.join(f.name for f in FAMILIES)}), got "
        f"{type(backbone).__name__}; add its family to FAMILIES in equikpt/engine/layer_depth.py"
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
    stages = Stages({}, num_backbone)
    outside = {"neck": stages.neck, "head": stages.head}
    for name, _ in model.named_parameters():
        part, _, rest = name.partition(".")
        if part == "backbone":
            stages.of_parameter[name] = in_backbone[rest]
        elif part in outside:
            stages.of_parameter[name] = outside[part]
        else:
            raise ValueError(
                f"expected parameters of backbone, neck or head, got {name}; layer-wise rates know "
                "no stage for it: give it one in equikpt/engine/layer_depth.py"
            )
    return stages
