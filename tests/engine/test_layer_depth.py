from __future__ import annotations

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

import equikpt.register  # noqa: F401
from equikpt.engine.freezing import frozen_stages, set_frozen_stages
from equikpt.engine.layer_depth import FAMILIES, family_of, stages_of
from tests.conftest import REPO


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope("mmpose")


HRNET = dict(
    stage1=dict(
        num_modules=1, num_branches=1, block="BOTTLENECK", num_blocks=(1,), num_channels=(8,)
    ),
    stage2=dict(
        num_modules=1, num_branches=2, block="BASIC", num_blocks=(1, 1), num_channels=(4, 8)
    ),
    stage3=dict(
        num_modules=1, num_branches=3, block="BASIC", num_blocks=(1,) * 3, num_channels=(4, 8, 16)
    ),
    stage4=dict(
        num_modules=1,
        num_branches=4,
        block="BASIC",
        num_blocks=(1,) * 4,
        num_channels=(4, 8, 16, 32),
    ),
)
LITEHRNET = dict(
    stem=dict(stem_channels=8, out_channels=8, expand_ratio=1),
    num_stages=2,
    stages_spec=dict(
        num_modules=(1, 1),
        num_branches=(2, 3),
        num_blocks=(1, 1),
        module_type=("LITE", "LITE"),
        with_fuse=(True, True),
        reduce_ratios=(4, 4),
        num_channels=((8, 16), (8, 16, 32)),
    ),
    with_head=True,
)
BACKBONES = {
    "hrnet": dict(type="HRNet", extra=HRNET),
    "litehrnet": dict(type="LiteHRNet", extra=LITEHRNET),
    "cspnext": dict(type="FreezingCSPNeXt", deepen_factor=0.33, widen_factor=0.125),
    "resnet": dict(type="ResNet", depth=18),
    "resnet_deep_stem": dict(type="ResNetV1d", depth=50),
    "seresnet": dict(type="SEResNet", depth=50),
    "timm_efficientnet": dict(type="TimmBackbone", model_name="efficientnet_lite0"),
    "timm_resnet": dict(type="TimmBackbone", model_name="resnet18"),
    "timm_convnext": dict(type="TimmBackbone", model_name="convnext_atto"),
    "timm_hgnet": dict(type="TimmBackbone", model_name="hgnetv2_b0"),
    "timm_mobilenetv4": dict(type="TimmBackbone", model_name="mobilenetv4_conv_small"),
    "timm_regnet": dict(type="TimmBackbone", model_name="regnety_002"),
    "timm_repvgg": dict(type="TimmBackbone", model_name="repvgg_a0"),
    "timm_hrnet": dict(type="TimmBackbone", model_name="hrnet_w18_small"),
    "timm_vit": dict(type="TimmBackbone", model_name="vit_tiny_patch16_224"),
    "timm_swin": dict(type="TimmBackbone", model_name="swin_tiny_patch4_window7_224"),
}
FREEZING = [name for name in BACKBONES if name != "litehrnet"]


class Pose(nn.Module):
    """As much of a pose estimator as stages are about."""

    def __init__(self, backbone: dict) -> None:
        super().__init__()
        if backbone["type"] == "TimmBackbone":
            pytest.importorskip("timm")
        self.backbone = MODELS.build(backbone)
        self.neck = nn.Conv2d(4, 4, 1)
        self.head = nn.Conv2d(4, 4, 1)


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=BACKBONES)
def test_stages_follow_the_data(backbone):
    """Every stage exists, and no parameter that a shallow stage needs lies in a deeper one."""
    model = Pose(backbone)
    stages = stages_of(model)
    assert set(stages.of_parameter.values()) == set(range(stages.num_backbone + 2))
    assert set(stages.of_parameter) == {name for name, _ in model.named_parameters()}
    assert stages.of_parameter["neck.weight"] == stages.neck == stages.num_backbone
    assert stages.of_parameter["head.bias"] == stages.head == stages.num_backbone + 1
    assert stages.num_backbone >= 3


@pytest.mark.parametrize("backbone", [BACKBONES[name] for name in FREEZING], ids=FREEZING)
def test_table_says_what_the_backbone_freezes(backbone):
    """The backbone's own freezing is the reference: weights and BN statistics, at every value."""
    model = Pose(backbone)
    stages = stages_of(model)
    model.train()
    for value in range(-1, stages.num_backbone):
        set_frozen_stages(model, value)
        assert frozen_stages(model) == value
        for name, parameter in model.named_parameters():
            assert parameter.requires_grad == (stages.of_parameter[name] > value), (value, name)
        for name, module in model.backbone.named_modules(prefix="backbone"):
            if isinstance(module, _BatchNorm):
                trains = stages.of_parameter[f"{name}.weight"] > value
                assert module.training == trains, (value, name)


@pytest.mark.parametrize("value", [-2, 5])
def test_refuses_stages_that_are_not_there(value):
    with pytest.raises(ValueError, match="from -1 .nothing. to 4"):
        set_frozen_stages(Pose(BACKBONES["hrnet"]), value)


def test_refuses_to_freeze_a_backbone_that_cannot():
    with pytest.raises(ValueError, match="LiteHRNet has none"):
        set_frozen_stages(Pose(BACKBONES["litehrnet"]), 0)


def test_sees_a_stage_that_is_frozen_in_part():
    model = Pose(BACKBONES["cspnext"])
    next(model.backbone.stage2.parameters()).requires_grad_(False)
    with pytest.raises(ValueError, match="stage2.*is frozen while .*stem"):
        frozen_stages(model)


def test_names_a_parameter_without_a_rule():
    model = Pose(BACKBONES["cspnext"])
    model.backbone.adapter = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"adapter\.weight matches none"):
        stages_of(model)


def test_names_a_part_without_a_stage():
    model = Pose(BACKBONES["cspnext"])
    model.classifier = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"classifier\.weight"):
        stages_of(model)


def test_names_a_backbone_without_a_family():
    model = Pose(BACKBONES["cspnext"])
    model.backbone = nn.Conv2d(3, 3, 1)
    with pytest.raises(ValueError, match="got Conv2d"):
        family_of(model.backbone)


def test_mmpretrain_vit_names():
    """mmpretrain is not installed everywhere: its names stand here as its source has them."""
    vit = next(family for family in FAMILIES if family.name == "ViT")
    from equikpt.models.backbones.stage_rules import assign_stages

    names = ["cls_token", "pos_embed", "patch_embed.projection.weight", "layers.0.ln1.weight"]
    names += ["layers.11.attn.qkv.bias", "ln1.weight"]
    assert list(dict(assign_stages(names, vit.rules, "ViT")).values()) == [0, 0, 0, 1, 12, 12]


COUNTS = {
    "rtmpose_m_ap10k": {
        "backbone.0": 9, "backbone.1": 32, "backbone.2": 50, "backbone.3": 50, "backbone.4": 38,
        "head": 12,
    },
}  # fmt: skip


@pytest.mark.parametrize(
    "config", sorted((REPO / "configs").glob("*.py")), ids=lambda path: path.stem
)
def test_every_config_has_its_stages(config):
    model = MODELS.build(Config.fromfile(config).model)
    stages = stages_of(model)
    counts: dict[str, int] = {}
    for stage in stages.of_parameter.values():
        counts[stages.label(stage)] = counts.get(stages.label(stage), 0) + 1
    assert sum(counts.values()) == len(list(model.parameters()))
    if config.stem in COUNTS:
        assert dict(sorted(counts.items())) == COUNTS[config.stem]
