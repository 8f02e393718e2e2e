"""RoIAlign through mmcv's public function, against the definition, sample by sample."""

from __future__ import annotations

import math

import pytest
import torch
from mmcv.ops import RoIAlign, roi_align

HEIGHT, WIDTH, SCALE = 7, 9, 0.25
ALIGNED = pytest.mark.parametrize("aligned", [True, False], ids=["aligned", "legacy"])
MODES = pytest.mark.parametrize("mode", ["avg", "max"])
RATIOS = pytest.mark.parametrize("ratio", [0, 1, 3], ids=["adaptive", "one", "three"])

ROIS = torch.tensor(
    [
        [0, 3.1, 2.2, 25.7, 19.3],  # inside
        [1, -9.0, -11.0, 14.5, 30.0],  # over the corner
        [1, 20.0, 8.0, 50.0, 44.0],  # mostly outside
        [0, 10.0, 10.0, 11.3, 10.7],  # smaller than a cell
    ],
    dtype=torch.float64,
)


def features(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 3, HEIGHT, WIDTH, dtype=torch.float64, generator=generator)


def value_at(plane: list[list[float]], y: float, x: float) -> float:
    """Bilinear value of one plane: 0 beyond one cell outside, else the border repeated."""
    if not (-1 <= y <= HEIGHT and -1 <= x <= WIDTH):
        return 0.0
    y, x = min(max(y, 0.0), HEIGHT - 1.0), min(max(x, 0.0), WIDTH - 1.0)
    value = 0.0
    for row in {math.floor(y), math.ceil(y)}:
        for column in {math.floor(x), math.ceil(x)}:
            value += (1 - abs(y - row)) * (1 - abs(x - column)) * plane[row][column]
    return value


def pooled_by_loop(maps, rois, size, ratio, aligned, mode) -> torch.Tensor:
    output = torch.zeros(len(rois), maps.shape[1], *size, dtype=torch.float64)
    for index, (batch, *box) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (side * SCALE - (0.5 if aligned else 0.0) for side in box)
        width, height = x2 - x1, y2 - y1
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        bin_height, bin_width = height / size[0], width / size[1]
        rows = ratio or math.ceil(bin_height)
        columns = ratio or math.ceil(bin_width)
        for channel, plane in enumerate(maps[int(batch)].tolist()):
            for row in range(size[0]):
                for column in range(size[1]):
                    samples = [
                        value_at(
                            plane,
                            y1 + (row + (i + 0.5) / rows) * bin_height,
                            x1 + (column + (j + 0.5) / columns) * bin_width,
                        )
                        for i in range(rows)
                        for j in range(columns)
                    ]
                    pool = max(samples) if mode == "max" else sum(samples) / len(samples)
                    output[index, channel, row, column] = pool
    return output


@ALIGNED
@MODES
@RATIOS
def test_forward_is_the_definition(aligned, mode, ratio):
    maps = features()
    output = roi_align(maps, ROIS, (3, 2), SCALE, ratio, mode, aligned)
    torch.testing.assert_close(output, pooled_by_loop(maps, ROIS, (3, 2), ratio, aligned, mode))


@ALIGNED
@MODES
@RATIOS
def test_backward_is_the_derivative_of_forward(aligned, mode, ratio):
    maps = features().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda maps: roi_align(maps, ROIS, (3, 2), SCALE, ratio, mode, aligned), (maps,)
    )


def test_layer_pools_float32_and_float16_alike():
    maps, rois = features(1).float(), ROIS.float()
    for mode in ("avg", "max"):
        layer = RoIAlign((2, 2), SCALE, sampling_ratio=2, pool_mode=mode)
        torch.testing.assert_close(
            layer(maps.half(), rois.half()).float(), layer(maps, rois), atol=0.05, rtol=0.05
        )


@MODES
def test_region_without_area_pools_to_zero(mode):
    maps = features().abs().requires_grad_()
    rois = torch.tensor([[0.0, 8, 8, 8, 8]], dtype=torch.float64)
    output = roi_align(maps, rois, (2, 2), SCALE, 0, mode, True)
    output.sum().backward()
    assert not output.any()
    assert not maps.grad.any()


def test_no_regions():
    output = roi_align(features(), torch.zeros(0, 5, dtype=torch.float64), (2, 3), SCALE)
    assert output.shape == (0, 3, 2, 3)
