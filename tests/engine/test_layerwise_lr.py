import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import build_optim_wrapper
from mmpose.registry import MODELS

from tests.conftest import REPO


def wrapper_config(**paramwise) -> dict:
    return dict(
        constructor="LayerwiseLrConstructor",
        optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.05),
        paramwise_cfg=paramwise,
    )


@pytest.fixture(scope="module")
def rtmpose() -> dict:
    """The real network, narrow."""
    model = Config.fromfile(REPO / "configs/rtmpose_m_ap10k.py").model.to_dict()
    model["backbone"] |= dict(widen_factor=0.125, frozen_stages=-1)
    model["head"]["in_channels"] = 128
    return model


def build(model_cfg: dict, frozen: int = -1, **paramwise):
    model_cfg = copy.deepcopy(model_cfg)
    model_cfg["backbone"]["frozen_stages"] = frozen
    model = MODELS.build(model_cfg)
    return model, build_optim_wrapper(model, wrapper_config(**paramwise)).optimizer


def settings(model, optimizer) -> dict[str, tuple[float, float]]:
    """(rate, weight decay) by parameter name."""
    of_id = {
        id(p): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for p in group["params"]
    }
    return {name: of_id[id(p)] for name, p in model.named_parameters() if id(p) in of_id}


def test_tiers(rtmpose):
    model, optimizer = build(rtmpose, 1, module_lr_mult=dict(backbone=0.1), frozen_stages=1)
    found = settings(model, optimizer)
    for name, parameter in model.named_parameters():
        if name.startswith(("backbone.stem", "backbone.stage1")):
            assert name not in found
            continue
        rate = 1e-4 if name.startswith("backbone") else 1e-3
        decay = 0.05 if parameter.ndim > 1 else 0.0
        assert found[name] == pytest.approx((rate, decay)), name


def test_what_the_backbone_froze_never_trains(rtmpose):
    model, optimizer = build(rtmpose, 2)
    trains = {name for name, p in model.named_parameters() if p.requires_grad}
    assert set(settings(model, optimizer)) == trains
    assert len(trains) < len(list(model.parameters()))


def test_geometric_decay(rtmpose):
    model, optimizer = build(rtmpose, decay_rate=0.5)
    found = settings(model, optimizer)
    # stem, four stages, (no neck), head: 6 stages lie between the stem and the head
    assert found["backbone.stem.0.conv.weight"][0] == pytest.approx(1e-3 * 0.5**6)
    assert found["backbone.stage1.0.conv.weight"][0] == pytest.approx(1e-3 * 0.5**5)
    assert found["backbone.stage4.0.conv.weight"][0] == pytest.approx(1e-3 * 0.5**2)
    assert found["head.final_layer.weight"][0] == pytest.approx(1e-3)


def test_without_options_every_rate_is_the_base_rate(rtmpose):
    model, optimizer = build(rtmpose)
    found = settings(model, optimizer)
    assert len(found) == len(list(model.parameters()))
    assert {rate for rate, _ in found.values()} == {1e-3}


def test_few_groups_that_hold_everything_once(rtmpose):
    model, optimizer = build(rtmpose, module_lr_mult=dict(backbone=0.1))
    parameters = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(parameters) == sorted(id(p) for p in model.parameters())
    # one with and one without weight decay for each of the five stages and the head
    assert len(optimizer.param_groups) == 12


def test_custom_keys_come_on_top(rtmpose):
    model, optimizer = build(
        rtmpose,
        module_lr_mult=dict(backbone=0.1),
        custom_keys={r"backbone\.": dict(decay_mult=0.5), r"\.stage4\.": dict(lr_mult=2.0)},
    )
    found = settings(model, optimizer)
    assert found["backbone.stage3.0.conv.weight"] == pytest.approx((1e-4, 0.025))
    # the longer pattern wins whole
    assert found["backbone.stage4.0.conv.weight"] == pytest.approx((2e-4, 0.05))


def test_released_later_means_in_the_optimizer_from_the_start(rtmpose):
    model, optimizer = build(rtmpose, 3, frozen_stages=1, frozen_at_start=3)
    found = settings(model, optimizer)
    assert "backbone.stage3.0.conv.weight" in found
    assert "backbone.stage1.0.conv.weight" not in found


@pytest.mark.parametrize(
    ("frozen", "paramwise", "message"),
    [
        (-1, dict(decay_multi=0.5), "got 'decay_multi'"),
        (-1, dict(module_lr_mult=dict(body=0.1)), "got 'body'"),
        (-1, dict(custom_keys={"head": dict(lr=1)}), "got 'lr'"),
        (-1, dict(custom_keys={"no_such": dict(lr_mult=1)}), "'no_such'.*it is in none"),
        (-1, dict(module_lr_mult={}, decay_rate=0.9), "got both"),
        (-1, dict(frozen_stages=1), "found -1; set model.backbone.frozen_stages=1"),
        (2, dict(frozen_stages=1), "up to stage 1 .*found 2"),
        (2, dict(frozen_at_start=1), "up to stage 1 .*found 2"),
        (1, dict(frozen_stages=3, frozen_at_start=1), "at least frozen_stages=3"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_refuses(rtmpose, frozen, paramwise, message):
    with pytest.raises(ValueError, match=message):
        build(rtmpose, frozen, **paramwise)


def test_sees_statistics_that_move(rtmpose):
    """A rate of 0, or requires_grad alone, leaves the BN statistics moving."""
    model = MODELS.build(copy.deepcopy(rtmpose))
    for parameter in model.backbone.stem.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(ValueError, match=r"backbone\.stem"):
        build_optim_wrapper(model, wrapper_config(frozen_stages=0))


def test_freezing_must_come_before_ddp(rtmpose):
    """MMPose's CSPNeXt freezes in train(), when DDP already waits for all gradients."""
    model_cfg = copy.deepcopy(rtmpose)
    model_cfg["backbone"] |= dict(type="CSPNeXt", frozen_stages=0)
    cfg = wrapper_config(frozen_stages=0)
    build_optim_wrapper(MODELS.build(model_cfg), cfg)  # one process: no harm
    wrapped = MMDistributedDataParallel.__new__(MMDistributedDataParallel)
    torch.nn.Module.__init__(wrapped)
    wrapped.module = MODELS.build(model_cfg)
    with pytest.raises(ValueError, match="FreezingCSPNeXt"):
        build_optim_wrapper(wrapped, cfg)


def test_state_of_the_optimizer_loads_safely(rtmpose, tmp_path):
    model, optimizer = build(rtmpose, module_lr_mult=dict(backbone=0.1))
    torch.save(optimizer.state_dict(), tmp_path / "state.pth")
    state = torch.load(tmp_path / "state.pth", weights_only=True)
    _, other = build(rtmpose, module_lr_mult=dict(backbone=0.1))
    other.load_state_dict(state)
    assert [group["tier"] for group in other.param_groups][-1] == "head"
