"""Deformable convolutions through mmcv's layers, against the definition, place by place."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from mmcv.ops import (
    DeformConv2d,
    DeformConv2dPack,
    ModulatedDeformConv2d,
    ModulatedDeformConv2dPack,
)
from torch import nn

HEIGHT, WIDTH = 5, 6
GEOMETRIES = pytest.mark.parametrize(
    "geometry",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": (2, 3), "stride": (2, 1), "padding": (0, 1)},
        {"kernel_size": 2, "dilation": (1, 2), "groups": 2},
        {"kernel_size": 3, "padding": 1, "deform_groups": 2},
    ],
    ids=["plain", "oblong", "groups", "offset-groups"],
)


def random(*shape: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def build(kind: type[nn.Module], geometry: dict, **options) -> nn.Module:
    torch.manual_seed(0)
    return kind(4, 6, **geometry, **options).double()


def inputs(layer: nn.Module) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Picture, offsets (up to about two cells) and mask that fit a layer."""
    height, width = output_size(layer)
    taps = layer.kernel_size[0] * layer.kernel_size[1] * layer.deform_groups
    return (
        random(2, 4, HEIGHT, WIDTH, seed=1),
        random(2, 2 * taps, height, width, seed=2),
        random(2, taps, height, width, seed=3).sigmoid(),
    )


def output_size(layer: nn.Module) -> tuple[int, int]:
    return tuple(
        (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        for size, padding, dilation, kernel, stride in zip(
            (HEIGHT, WIDTH),
            layer.padding,
            layer.dilation,
            layer.kernel_size,
            layer.stride,
            strict=True,
        )
    )


def value_at(plane: torch.Tensor, y: float, x: float) -> float:
    """Bilinear value of one plane that is zero outside."""
    value = 0.0
    for row, column in itertools.product(
        {math.floor(y), math.floor(y) + 1}, {math.floor(x), math.floor(x) + 1}
    ):
        if 0 <= row < HEIGHT and 0 <= column < WIDTH:
            weight = (1 - abs(y - row)) * (1 - abs(x - column))
            value += weight * float(plane[row, column])
    return value


def convolved_by_loop(layer, picture, offset, mask) -> torch.Tensor:
    """Sum over kernel places of weight x mask x the picture at the moved place."""
    (rows, columns), taps = layer.kernel_size, layer.kernel_size[0] * layer.kernel_size[1]
    height, width = output_size(layer)
    per_group = 4 // layer.groups
    output = torch.zeros(2, 6, height, width, dtype=torch.float64)
    for batch, out, oy, ox in itertools.product(range(2), range(6), range(height), range(width)):
        first = (out // (6 // layer.groups)) * per_group
        for index, row, column in itertools.product(range(per_group), range(rows), range(columns)):
            channel = first + index
            tap = (channel // (4 // layer.deform_groups)) * taps + row * columns + column
            dy, dx = offset[batch, 2 * tap : 2 * tap + 2, oy, ox].tolist()
            y = oy * layer.stride[0] - layer.padding[0] + row * layer.dilation[0] + dy
            x = ox * layer.stride[1] - layer.padding[1] + column * layer.dilation[1] + dx
            moved = value_at(picture[batch, channel], y, x) * mask[batch, tap, oy, ox]
            output[batch, out, oy, ox] += layer.weight[out, index, row, column].detach() * moved
    return output


@GEOMETRIES
def test_version_1_is_the_definition(geometry):
    layer = build(DeformConv2d, geometry)
    picture, offset, mask = inputs(layer)
    expected = convolved_by_loop(layer, picture, offset, torch.ones_like(mask))
    torch.testing.assert_close(layer(picture, offset), expected)


@GEOMETRIES
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
def test_version_2_is_the_definition(geometry, bias):
    layer = build(ModulatedDeformConv2d, geometry, bias=bias)
    picture, offset, mask = inputs(layer)
    expected = convolved_by_loop(layer, picture, offset, mask)
    if bias:
        nn.init.normal_(layer.bias)
        expected = expected + layer.bias[:, None, None]
    torch.testing.assert_close(layer(picture, offset, mask), expected)


@GEOMETRIES
def test_backward_of_version_1_is_the_derivative(geometry):
    layer = build(DeformConv2d, geometry)
    picture, offset, _ = inputs(layer)
    check_derivative(layer, picture, offset)


@GEOMETRIES
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
def test_backward_of_version_2_is_the_derivative(geometry, bias):
    layer = build(ModulatedDeformConv2d, geometry, bias=bias)
    check_derivative(layer, *inputs(layer))


def check_derivative(layer: nn.Module, *tensors: torch.Tensor) -> None:
    """Inputs and parameters alike, in random directions (a full Jacobian takes minutes)."""
    names = [name for name, _ in layer.named_parameters()]
    leaves = [*tensors, *(parameter.detach().clone() for parameter in layer.parameters())]

    def call(*leaves):
        parameters = dict(zip(names, leaves[len(tensors) :], strict=True))
        return torch.func.functional_call(layer, parameters, leaves[: len(tensors)])

    leaves = [leaf.requires_grad_() for leaf in leaves]
    assert torch.autograd.gradcheck(call, leaves, fast_mode=True)


def test_gradients_reach_only_what_asks_for_them():
    layer = build(DeformConv2d, {"kernel_size": 3, "padding": 1})
    picture, offset, _ = inputs(layer)
    layer(picture, offset).sum().backward()
    assert layer.weight.grad is not None
    assert picture.grad is None


@pytest.mark.parametrize(
    ("pack", "factor"), [(DeformConv2dPack, 1.0), (ModulatedDeformConv2dPack, 0.5)]
)
def test_fresh_pack_is_an_ordinary_convolution(pack, factor):
    # its offsets start at 0 and its mask at sigmoid(0)
    layer = build(pack, {"kernel_size": 3, "padding": 1}, bias=False)
    picture = random(2, 4, HEIGHT, WIDTH, seed=4)
    expected = factor * nn.functional.conv2d(picture, layer.weight, padding=1)
    torch.testing.assert_close(layer(picture), expected)


def test_picture_smaller_than_the_kernel():
    layer = build(DeformConv2d, {"kernel_size": 3, "padding": 1})
    picture = random(1, 4, 2, 2, seed=5)
    output = layer(picture, torch.zeros(1, 18, 2, 2, dtype=torch.float64))
    torch.testing.assert_close(output, nn.functional.conv2d(picture, layer.weight, padding=1))
