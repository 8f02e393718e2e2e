import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmpose.models.heads import BaseHead
from torch import nn

from equikpt.engine import amp


class Head(BaseHead):
    """A head as MMPose writes them: loss calls forward directly and goes through numpy."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, feats):
        return self.linear(feats), (self.linear(feats),)

    def predict(self, feats, batch_data_samples, test_cfg=None):
        raise NotImplementedError

    def loss(self, feats, batch_data_samples=None, train_cfg=None):
        out, _ = self.forward(feats)
        out.detach().numpy()  # bfloat16 has no numpy type
        return out.square().mean()


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Linear(4, 4)
        self.head = Head()


def wrapper(model: nn.Module, emulate: bool = True, **kwargs) -> amp.CpuAmpOptimWrapper:
    """Emulating by default: these tests are small enough for any CPU."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return amp.CpuAmpOptimWrapper(optimizer=optimizer, emulate=emulate, **kwargs)


def test_computes_in_bfloat16_and_hands_out_float32():
    model = Model()
    optim_wrapper = wrapper(model)
    with optim_wrapper.optim_context(model):
        features = model.backbone(torch.ones(2, 4))
        out, (nested,) = model.head.forward(features)
        loss = model.head.loss(features)
    assert features.dtype == torch.bfloat16
    assert out.dtype == nested.dtype == loss.dtype == torch.float32
    optim_wrapper.update_params(loss)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_leaves_the_head_as_it_was():
    model = Model()
    with wrapper(model).optim_context(model):
        assert "forward" in vars(model.head)
    assert "forward" not in vars(model.head)
    with pytest.raises(RuntimeError, match="boom"), wrapper(model).optim_context(model):
        raise RuntimeError("boom")
    assert "forward" not in vars(model.head)


def test_close_to_float32():
    torch.manual_seed(0)
    model = Model()
    batch = torch.randn(8, 4)
    full = model.head.loss(model.backbone(batch))
    with wrapper(model).optim_context(model):
        mixed = model.head.loss(model.backbone(batch))
    assert mixed.item() == pytest.approx(full.item(), rel=0.03)
    assert mixed.item() != full.item()  # it did compute in another precision


def test_loads_the_state_of_a_gpu_run():
    model = Model()
    optim_wrapper = wrapper(model)
    state = optim_wrapper.state_dict()
    state["loss_scaler"] = {"scale": 65536.0}
    optim_wrapper.load_state_dict(state)
    assert "loss_scaler" not in optim_wrapper.state_dict()


@pytest.mark.parametrize("has_kernels", [False, True], ids=["emulated", "native"])
def test_stays_in_float32_where_bfloat16_is_emulated(monkeypatch, has_kernels):
    monkeypatch.setattr(amp.machine, "cpu_computes_bfloat16", lambda: has_kernels)
    said = []
    monkeypatch.setattr(amp, "print_log", lambda message, **_: said.append(message))
    model = Model()
    with wrapper(model, emulate=False).optim_context(model):
        features = model.backbone(torch.ones(2, 4))
    assert features.dtype == (torch.bfloat16 if has_kernels else torch.float32)
    assert [("training in float32" in message) for message in said] == [True] * (not has_kernels)


def test_refuses_float16():
    with pytest.raises(ValueError, match="'bfloat16'"):
        wrapper(Model(), dtype="float16")


@pytest.mark.parametrize(
    ("gpu", "expected"), [(False, "CpuAmpOptimWrapper"), (True, "AmpOptimWrapper")], ids=str
)
def test_chooses_by_device(monkeypatch, gpu, expected):
    monkeypatch.setattr(amp, "is_cuda_available", lambda: gpu)
    cfg = Config(dict(optim_wrapper=dict(type="OptimWrapper")))
    amp.enable_amp(cfg)
    assert cfg.optim_wrapper.type == expected
    assert ("loss_scale" in cfg.optim_wrapper) is gpu


def test_refuses_a_wrapper_of_its_own():
    cfg = Config(dict(optim_wrapper=ConfigDict(type="ApexOptimWrapper")))
    with pytest.raises(ValueError, match="ApexOptimWrapper"):
        amp.enable_amp(cfg)
