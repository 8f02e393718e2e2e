from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn

import equikpt.register  # noqa: F401
from equikpt.core.configs import read_config
from equikpt.models.visibility_branch import (
    ABSENT,
    HIDDEN,
    SEEN,
    UNKNOWN,
    VisibilityBranch,
    visibility_loss,
)


def branch(**given) -> VisibilityBranch:
    torch.manual_seed(0)
    return VisibilityBranch(in_channels=5, num_keypoints=3, hidden_channels=8, **given)


def feats(batch: int = 4, side: int = 24) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return (torch.randn(batch, 5, side, side, generator=generator),)


def test_the_losses_are_those_of_what_is_known():
    labels = torch.tensor([[ABSENT, HIDDEN, SEEN, UNKNOWN]])
    right = torch.tensor([[[-9.0, 0.0], [9.0, -9.0], [9.0, 9.0], [-9.0, 9.0]]])
    presence, seen = visibility_loss(right, labels)
    assert max(presence, seen) < 1e-3
    presence, seen = visibility_loss(-right, labels)
    assert min(presence, seen) > 8
    unknown = visibility_loss(right, torch.full((1, 4), UNKNOWN))
    assert all(loss == 0 for loss in unknown)


def test_hidden_against_seen_is_not_asked_of_an_absent_keypoint():
    logits = torch.zeros(1, 1, 2, requires_grad=True)
    sum(visibility_loss(logits, torch.tensor([[ABSENT]]))).backward()
    assert logits.grad[0, 0].abs().tolist() == pytest.approx([0.5, 0.0])


@pytest.mark.parametrize("side", [4, 7, 24, 64])
def test_maps_of_any_size_give_two_logits_a_keypoint(side):
    assert branch().eval()(feats(side=side)).shape == (4, 3, 2)


def test_a_branch_learns_what_the_maps_show():
    model, maps = branch(), feats(batch=16)[0]
    labels = torch.arange(16)[:, None].expand(16, 3) % 3
    for index in range(16):
        maps[index, 0] += 3 * labels[index, 0]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(150):
        optimizer.zero_grad()
        sum(visibility_loss(model((maps,)), labels)).backward()
        optimizer.step()
    probabilities = model.eval().predict((maps,), None, ())
    assert np.array_equal(probabilities[..., 0] > 0.5, labels.numpy() > ABSENT)
    present = labels.numpy() > ABSENT
    assert np.array_equal(probabilities[present][:, 1] > 0.5, labels.numpy()[present] == SEEN)


def test_a_flip_averages_each_keypoint_with_its_partner():
    model = branch().eval()
    plain, mirrored = feats(), (feats()[0].flip(-1) + 1,)
    with torch.no_grad():
        a, b = (model(each).sigmoid().numpy() for each in (plain, mirrored))
        found = model.predict(plain, mirrored, [1, 0, 2])
    assert found == pytest.approx((a + b[:, [1, 0, 2]]) / 2, abs=1e-6)


@pytest.mark.parametrize("detach", [False, True])
def test_a_detached_branch_leaves_the_backbone_alone(detach):
    maps = feats()[0].requires_grad_()
    branch(detach=detach)((maps,)).sum().backward()
    assert (maps.grad is None) == detach


@pytest.mark.parametrize("name", ["rtmpose_m_ap10k", "td-hm_efficientnet-lite0_horse26-192x192"])
def test_an_estimator_gives_it_the_channels_of_its_head(name):
    init_default_scope("mmpose")
    cfg = read_config(f"smoke/{name}").model
    model = MODELS.build(cfg)
    convolutions = [m for m in model.head.visibility.modules() if isinstance(m, nn.Conv2d)]
    assert convolutions[0].in_channels == model.head.in_channels
    assert model.visibility.num_keypoints == 26
    assert MODELS.build({**cfg, "visibility": None}).visibility is None
