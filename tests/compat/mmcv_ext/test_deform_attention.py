"""Deformable attention as mmcv calls it on a GPU, against the definition, sample by sample."""

from __future__ import annotations

import itertools
import math

import torch
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

SHAPES = [(4, 3), (2, 2)]
HEADS, DEPTH, QUERIES, POINTS = 2, 3, 4, 2


def problem() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.rand(*shape, dtype=torch.float64, generator=generator)

    cells = sum(height * width for height, width in SHAPES)
    weights = random(1, QUERIES, HEADS, len(SHAPES), POINTS)
    return (
        random(1, cells, HEADS, DEPTH),
        random(1, QUERIES, HEADS, len(SHAPES), POINTS, 2) * 1.2 - 0.1,  # some outside
        weights / weights.sum(dim=(-2, -1), keepdim=True),
    )


def attend(value, places, weights):
    shapes = torch.tensor(SHAPES)
    starts = torch.tensor([0, SHAPES[0][0] * SHAPES[0][1]])
    return MultiScaleDeformableAttnFunction.apply(value, shapes, starts, places, weights, 64)


def test_forward_is_the_definition():
    value, places, weights = problem()
    expected = torch.zeros(1, QUERIES, HEADS, DEPTH, dtype=torch.float64)
    start = 0
    for level, (height, width) in enumerate(SHAPES):
        plane = value[0, start : start + height * width].view(height, width, HEADS, DEPTH)
        start += height * width
        for query, head, point in itertools.product(range(QUERIES), range(HEADS), range(POINTS)):
            fx, fy = places[0, query, head, level, point].tolist()
            y, x = fy * height - 0.5, fx * width - 0.5  # cell centres lie at half-integers
            for row, column in itertools.product(
                (math.floor(y), math.floor(y) + 1), (math.floor(x), math.floor(x) + 1)
            ):
                if 0 <= row < height and 0 <= column < width:
                    share = (1 - abs(y - row)) * (1 - abs(x - column))
                    share = share * weights[0, query, head, level, point]
                    expected[0, query, head] += share * plane[row, column, head]
    torch.testing.assert_close(attend(value, places, weights), expected.flatten(2))


def test_backward_is_the_derivative():
    leaves = [tensor.requires_grad_() for tensor in problem()]
    assert torch.autograd.gradcheck(attend, leaves)
