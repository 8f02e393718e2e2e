import pytest
from mmengine.config import Config
from mmpose.registry import MODELS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from equikpt.engine.stages import FAMILIES, frozen_stages, set_frozen_stages, stages_of
from equikpt.models.stage_rules import assign_stages
from tests.conftest import REPO


def hrnet_stage(block: str, *channels: int) -> dict:
    branches = len(channels)
    return dict(
        num_modules=1,
        num_branches=branches,
        block=block,
        num_blocks=(1,) * branches,
        num_channels=channels,
    )


HRNET = dict(
    stage1=hrnet_stage("BOTTLENECK", 8),
    stage2=hrnet_stage("BASIC", 4, 8),
    stage3=hrnet_stage("BASIC", 4, 8, 16),
    stage4=hrnet_stage("BASIC", 4, 8, 16, 32),
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
    **{
        f"timm_{name}": dict(type="TimmBackbone", model_name=name)
        for name in (
            *("efficientnet_lite0", "resnet18", "convnext_atto", "hgnetv2_b0", "regnety_002"),
            *("mobilenetv4_conv_small", "repvgg_a0", "hrnet_w18_small"),
            *("vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"),
        )
    },
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
    assert stages.of_parameter["neck.weight"] == stages.num_backbone
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


def test_backbones_that_cannot_or_do_half_are_refused():
    with pytest.raises(ValueError, match="LiteHRNet"):
        set_frozen_stages(Pose(BACKBONES["litehrnet"]), 0)
    model = Pose(BACKBONES["cspnext"])
    next(model.backbone.stage2.parameters()).requires_grad_(False)
    with pytest.raises(ValueError, match="stage2"):
        frozen_stages(model)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("backbone.adapter", r"adapter\.weight matches none"),
        ("classifier", r"classifier\.weight"),
        ("backbone", "got Linear"),
    ],
    ids=["a parameter without a rule", "a part without a stage", "a backbone without a family"],
)
def test_unknown_parts_are_named(part, words):
    model = Pose(BACKBONES["cspnext"])
    owner, _, name = part.rpartition(".")
    setattr(model.get_submodule(owner), name, nn.Linear(2, 2))
    with pytest.raises(ValueError, match=words):
        stages_of(model)


def test_mmpretrain_vit_names():
    """mmpretrain is not installed everywhere: its names stand here as its source has them."""
    vit = next(family for family in FAMILIES if family.name == "ViT")
    names = ["cls_token", "pos_embed", "patch_embed.projection.weight", "layers.0.ln1.weight"]
    names += ["layers.11.attn.qkv.bias", "ln1.weight"]
    assert list(dict(assign_stages(names, vit.rules, "ViT")).values()) == [0, 0, 0, 1, 12, 12]


COUNTS = {
    "rtmpose_m_ap10k": {
        "backbone.0": 9, "backbone.1": 32, "backbone.2": 50, "backbone.3": 50, "backbone.4": 38,
        "head": 18,
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
