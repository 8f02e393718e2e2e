"""The stand-in for mmcv's compiled half as a module: what it has, and how it refuses the rest.

The results of its operators are compared with their definitions in plain loops.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import pickle
import sys

import mmcv
import mmcv.ops
import numpy as np
import pytest
import torch

from equikpt.compat import mmcv_ops


@pytest.fixture
def stand_in(monkeypatch):
    """The stand-in in the place of ``mmcv._ext``, whatever is installed."""
    module = mmcv_ops.build_ext()
    monkeypatch.setitem(sys.modules, mmcv_ops.NAME, module)
    return module


def test_every_operator_is_there_under_its_name(stand_in):
    for operator in mmcv_ops.OPERATORS:
        assert getattr(stand_in, operator.__name__) is operator


@pytest.mark.parametrize(
    "name", ["carafe_forward", "softnms", "deform_conv_backward_input", "an_operator_of_the_future"]
)
def test_other_operators_exist_and_fail_when_called(stand_in, name):
    operator = getattr(stand_in, name)
    assert operator.__name__ == name
    with pytest.raises(NotImplementedError, match=rf"'{name}'.*compiled mmcv.*pip install"):
        operator(torch.zeros(1), threshold=0.5)


@pytest.mark.skipif(
    not mmcv_ops.is_stand_in(sys.modules[mmcv_ops.NAME]), reason="mmcv has compiled operators"
)
def test_function_of_mmcv_without_operator_says_how_to_get_it():
    with pytest.raises(NotImplementedError, match="'roi_pool_forward'"):
        mmcv.ops.roi_pool(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5), 2)


def test_names_of_python_itself_are_absent(stand_in):
    # inspect, pickle and torch ask modules for such names and take any answer at its word
    for name in ("__file__", "__path__", "__wrapped__"):
        assert not hasattr(stand_in, name)
    with pytest.raises(AttributeError, match="__path__"):
        stand_in.__path__  # noqa: B018


def test_is_found_like_a_compiled_file(stand_in):
    spec = importlib.util.find_spec(mmcv_ops.NAME)
    assert spec is stand_in.__spec__
    assert spec.loader is not None, "pkgutil.find_loader, which official mmengine asks, needs one"


def test_mmengine_believes_in_deformable_convolutions():
    # else its optimizer constructor overlooks the dcn_offset_lr_mult of a config
    from mmengine.utils.dl_utils.misc import mmcv_full_available

    assert mmcv_full_available()


def test_is_told_from_a_compiled_module(stand_in):
    assert mmcv_ops.is_stand_in(stand_in)
    assert not mmcv_ops.is_stand_in(pickle)


def test_report_of_mmcv_says_that_nothing_was_compiled(stand_in):
    assert stand_in.get_compiler_version() == "n/a"
    assert stand_in.get_compiling_cuda_version() == "n/a"


@pytest.mark.parametrize(
    ("version", "package"),
    [("2.1.0", "MMCV_WITH_OPS=1 pip install.* mmcv==2.1.0"), ("2.3.6", "onedl-mmcv==2.3.6")],
    ids=["official", "fork"],
)
def test_way_to_a_compiled_mmcv_fits_the_installed_one(monkeypatch, stand_in, version, package):
    monkeypatch.setattr(mmcv, "__version__", version)
    with pytest.raises(NotImplementedError, match=package):
        stand_in.carafe_forward()


# --- results, against plain loops ---


def overlap(a, b, offset: int) -> float:
    """Intersection over union of one pair by the definition, in Python floats."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + offset)
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + offset)
    area_a, area_b = ((c[2] - c[0] + offset) * (c[3] - c[1] + offset) for c in (a, b))
    return width * height / (area_a + area_b - width * height)


def some_boxes(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Crowded boxes with whole-number corners, where the two offsets differ, and scores."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.randint(0, 12, (count, 2), generator=generator)
    size = torch.randint(1, 8, (count, 2), generator=generator)
    scores = torch.randperm(count, generator=generator) / count
    return torch.cat([corner, corner + size], dim=1).float(), scores + 0.001


def kept_by_loop(boxes, scores, threshold: float, offset: int) -> list[int]:
    kept: list[int] = []
    for index in scores.argsort(descending=True).tolist():
        box = boxes[index].tolist()
        if all(overlap(boxes[k].tolist(), box, offset) <= threshold for k in kept):
            kept.append(index)
    return kept


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("threshold", [0.1, 0.45, 0.8])
def test_nms_is_the_greedy_loop(offset, threshold):
    boxes, scores = some_boxes(60, seed=1)
    dets, kept = mmcv.ops.nms(boxes, scores, threshold, offset=offset)
    assert kept.tolist() == kept_by_loop(boxes, scores, threshold, offset)
    torch.testing.assert_close(dets, torch.cat([boxes, scores[:, None]], dim=1)[kept])


def test_nms_offset_decides_between_these_two_boxes():
    # 4 x 4 px boxes side by side, 2 px apart: 8/24 = 0.33 without, 15/35 = 0.43 with the offset
    boxes = torch.tensor([[0.0, 0, 4, 4], [2, 0, 6, 4]])
    scores = torch.tensor([0.9, 0.8])
    assert mmcv.ops.nms(boxes, scores, 0.4, offset=0)[1].tolist() == [0, 1]
    assert mmcv.ops.nms(boxes, scores, 0.4, offset=1)[1].tolist() == [0]


def test_nms_takes_arrays_limits_and_no_boxes():
    boxes, scores = some_boxes(30, seed=2)
    dets, kept = mmcv.ops.nms(boxes.numpy(), scores.numpy(), 0.5, score_threshold=0.3, max_num=3)
    assert isinstance(dets, np.ndarray)
    assert (dets[:, 4] > 0.3).all()
    assert kept.tolist() == kept_by_loop(boxes, scores, 0.5, 0)[:3]
    assert len(mmcv.ops.nms(torch.zeros(0, 4), torch.zeros(0), 0.5)[1]) == 0


def test_nms_of_half_precision_boxes_and_scores_of_another_kind():
    boxes, scores = some_boxes(30, seed=3)
    _, kept = mmcv.ops.nms(boxes.half(), scores.double(), 0.5)
    assert kept.tolist() == kept_by_loop(boxes, scores, 0.5, 0)


def random(*shape: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def bilinear(plane: torch.Tensor, y: float, x: float, beyond: float = 0.0) -> float:
    """Value between the cells of one plane: 0 outside, or the border's own up to ``beyond``."""
    height, width = plane.shape
    if beyond:
        if not (-beyond <= y <= height - 1 + beyond and -beyond <= x <= width - 1 + beyond):
            return 0.0
        y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    value = 0.0
    for row, column in itertools.product(
        {math.floor(y), math.floor(y) + 1}, {math.floor(x), math.floor(x) + 1}
    ):
        if 0 <= row < height and 0 <= column < width:
            weight = (1 - abs(y - row)) * (1 - abs(x - column))
            value += weight * float(plane[row, column])
    return value


@pytest.mark.parametrize("aligned", [True, False], ids=["aligned", "legacy"])
@pytest.mark.parametrize("ratio", [0, 1, 3], ids=["adaptive", "one", "three"])
def test_roi_align_averages_the_samples_of_each_bin(aligned, ratio):
    maps, scale, (height, width) = random(2, 3, 7, 9, seed=0), 0.25, (3, 2)
    rois = [
        [0, 3.1, 2.2, 25.7, 19.3],
        [1, -9.0, -11.0, 14.5, 30.0],  # over the corner
        [0, 10.0, 10.0, 11.3, 10.7],  # smaller than a cell
    ]
    expected = torch.zeros(len(rois), 3, height, width, dtype=torch.float64)
    for index, (batch, *box) in enumerate(rois):
        x1, y1, x2, y2 = (side * scale - (0.5 if aligned else 0.0) for side in box)
        least = 0.0 if aligned else 1.0
        bin_height, bin_width = max(y2 - y1, least) / height, max(x2 - x1, least) / width
        rows, columns = ratio or math.ceil(bin_height), ratio or math.ceil(bin_width)
        places = itertools.product(range(3), range(height), range(width))
        for channel, row, column in places:
            samples = [
                bilinear(
                    maps[int(batch), channel],
                    y1 + (row + (i + 0.5) / rows) * bin_height,
                    x1 + (column + (j + 0.5) / columns) * bin_width,
                    beyond=1.0,
                )
                for i, j in itertools.product(range(rows), range(columns))
            ]
            expected[index, channel, row, column] = sum(samples) / len(samples)
    rois = torch.tensor(rois, dtype=torch.float64)
    output = mmcv.ops.roi_align(maps, rois, (height, width), scale, ratio, "avg", aligned)
    torch.testing.assert_close(output, expected)


@pytest.mark.skipif(
    not mmcv_ops.is_stand_in(sys.modules[mmcv_ops.NAME]), reason="mmcv has compiled operators"
)
def test_roi_align_of_maxima_says_how_to_get_it():
    maps, rois = random(1, 1, 4, 4, seed=0), torch.tensor([[0.0, 0, 0, 3, 3]])
    with pytest.raises(NotImplementedError, match="roi_align_forward of maxima"):
        mmcv.ops.roi_align(maps, rois, (2, 2), 1.0, 0, "max")


@pytest.mark.parametrize(
    "geometry",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": (2, 3), "stride": (2, 1), "padding": (0, 1)},
        {"kernel_size": 2, "dilation": (1, 2), "groups": 2},
        {"kernel_size": 3, "padding": 1, "deform_groups": 2},
    ],
    ids=["plain", "oblong", "groups", "offset-groups"],
)
@torch.no_grad()
def test_deformable_convolution_is_the_definition(geometry):
    """Sum over the places of the kernel of weight times the image at the moved place."""
    torch.manual_seed(0)
    layer = mmcv.ops.DeformConv2d(4, 6, **geometry).double()
    image, taps = random(2, 4, 5, 6, seed=1), math.prod(layer.kernel_size)
    size = [
        (length + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        for length, padding, dilation, kernel, stride in zip(
            (5, 6), layer.padding, layer.dilation, layer.kernel_size, layer.stride, strict=True
        )
    ]
    offset = random(2, 2 * taps * layer.deform_groups, *size, seed=2)
    expected = torch.zeros(2, 6, *size, dtype=torch.float64)
    each = itertools.product(range(2), range(6), *map(range, size), range(4 // layer.groups))
    for batch, out, oy, ox, index in each:
        channel = (out // (6 // layer.groups)) * (4 // layer.groups) + index
        for row, column in itertools.product(*map(range, layer.kernel_size)):
            tap = (channel // (4 // layer.deform_groups)) * taps
            tap += row * layer.kernel_size[1] + column
            dy, dx = offset[batch, 2 * tap : 2 * tap + 2, oy, ox].tolist()
            y = oy * layer.stride[0] - layer.padding[0] + row * layer.dilation[0] + dy
            x = ox * layer.stride[1] - layer.padding[1] + column * layer.dilation[1] + dx
            moved = bilinear(image[batch, channel], y, x)
            expected[batch, out, oy, ox] += layer.weight[out, index, row, column] * moved
    torch.testing.assert_close(layer(image, offset), expected)
