import copy

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn

from equikpt.cli.launch import load_config
from equikpt.core.configs import strip_pretrained_init
from equikpt.models import fast_forward
from equikpt.models.fast_forward import choose_precision, fold_batch_norms, speed_up

CONFIGS = {
    "smoke/td-hm_efficientnet-lite0_horse26-192x192": 20,  # and their batch norms, at least
    "smoke/rtmpose_m_ap10k": 20,
    "experimental/smoke/hm_litehrnet_coco-whole-256x256": 20,
}


def build(name: str) -> nn.Module:
    """A model whose batch norms have seen something."""
    cfg = load_config(name)
    init_default_scope("mmpose")
    strip_pretrained_init(cfg.model)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return model.eval()


@pytest.fixture(scope="module", params=CONFIGS, ids=lambda name: name.split("/")[-1])
def name(request) -> str:
    return request.param


@torch.no_grad()
def test_folded_batch_norms_change_rounding_alone(name):
    model = build(name)
    images = torch.randn(2, 3, 192, 192)
    expected = model.extract_feat(images)
    folded = copy.deepcopy(model)
    assert fold_batch_norms(folded.backbone) > CONFIGS[name]
    for found, maps in zip(folded.extract_feat(images), expected, strict=True):
        assert (found - maps).abs().max() < 1e-4 * maps.abs().max()
    folded.eval()  # frozen stages find their parameters again


class Backwards(nn.Module):
    """Registers the convolution first, and computes the batch norm first."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, bias=False)
        self.norm = nn.BatchNorm2d(3)
        nn.init.constant_(self.norm.bias, 3)

    def forward(self, images):
        return (self.conv(self.norm(images)),)


class OwnSize(Backwards):
    def forward(self, images):
        assert images.shape[-1] == 100
        return super().forward(images)


@torch.no_grad()
@pytest.mark.parametrize("kind", [Backwards, OwnSize])
def test_what_cannot_be_folded_stays_as_it_was(kind):
    module = kind().eval()
    images = torch.randn(1, 3, 100, 100)
    state, expected = copy.deepcopy(module.state_dict()), module(images)[0]
    assert fold_batch_norms(module) == 0
    assert torch.equal(module(images)[0], expected)
    assert {key: value.tolist() for key, value in module.state_dict().items()} == {
        key: value.tolist() for key, value in state.items()
    }


@torch.no_grad()
def test_reduced_features_are_close_and_come_in_float32():
    model = build("smoke/td-hm_efficientnet-lite0_horse26-192x192")
    images = torch.randn(1, 3, 96, 96)
    expected = model.extract_feat(images)[0]
    speed_up(model, "bfloat16")
    found = model.extract_feat(images)[0]
    assert found.dtype == torch.float32
    error = (found - expected).abs().mean() / expected.abs().mean()
    assert 1e-4 < error < 0.2


@pytest.mark.parametrize(
    ("name", "device", "native", "expected"),
    [
        ("auto", "cpu", True, "bfloat16"),
        ("auto", "cpu", False, "float32"),
        ("auto", "cuda:1", False, "float16"),
        ("auto", "mps", True, "float32"),
        ("bfloat16", "cpu", True, "bfloat16"),
        ("bfloat16", "cuda", False, "bfloat16"),
        ("float32", "cpu", True, "float32"),
    ],
)
def test_precision_is_what_the_device_computes_fast(monkeypatch, name, device, native, expected):
    monkeypatch.setattr(fast_forward, "cpu_computes_bfloat16", lambda: native)
    assert choose_precision(name, device) == expected


@pytest.mark.parametrize(
    ("name", "device"), [("bfloat16", "cpu"), ("float16", "cpu"), ("x", "cpu")]
)
def test_a_precision_that_the_device_lacks_is_refused(monkeypatch, name, device):
    monkeypatch.setattr(fast_forward, "cpu_computes_bfloat16", lambda: False)
    with pytest.raises(ValueError, match="expected precision"):
        choose_precision(name, device)
