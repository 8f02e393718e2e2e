"""The stand-in for mmcv's compiled half: its operators, and its refusal of others."""

import importlib.util
import math
import pickle
import sys

import mmcv
import mmcv.ops
import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d
from torchvision import ops

from equikpt.compat import mmcv_ops

needs_stand_in = pytest.mark.skipif(
    not mmcv_ops.is_stand_in(sys.modules[mmcv_ops.NAME]), reason="mmcv has compiled operators"
)


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


@needs_stand_in
def test_function_of_mmcv_without_operator_says_how_to_get_it():
    with pytest.raises(NotImplementedError, match="'roi_pool_forward'"):
        mmcv.ops.roi_pool(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5), 2)


def test_names_of_python_itself_are_absent(stand_in):
    # inspect, pickle and torch ask modules for such names and take any answer at its word
    for name in ("__file__", "__path__", "__wrapped__"):
        assert not hasattr(stand_in, name)


def test_is_found_like_a_compiled_file(stand_in):
    spec = importlib.util.find_spec(mmcv_ops.NAME)
    assert spec is stand_in.__spec__
    assert spec.loader is not None, "pkgutil.find_loader, which official mmengine asks, needs one"


def test_mmengine_believes_in_deformable_convolutions():
    # else its optimizer constructor overlooks the dcn_offset_lr_mult of a config
    from mmengine.utils.dl_utils.misc import mmcv_full_available

    assert mmcv_full_available()


def test_is_known_from_a_compiled_module(stand_in):
    assert mmcv_ops.is_stand_in(stand_in)
    assert not mmcv_ops.is_stand_in(pickle)
    assert stand_in.get_compiler_version() == stand_in.get_compiling_cuda_version() == "n/a"


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


def test_nms_takes_arrays_limits_no_boxes_and_half_precision():
    boxes, scores = some_boxes(30, seed=2)
    dets, kept = mmcv.ops.nms(boxes.numpy(), scores.numpy(), 0.5, score_threshold=0.3, max_num=3)
    assert isinstance(dets, np.ndarray)
    assert (dets[:, 4] > 0.3).all()
    assert kept.tolist() == kept_by_loop(boxes, scores, 0.5, 0)[:3]
    assert len(mmcv.ops.nms(torch.zeros(0, 4), torch.zeros(0), 0.5)[1]) == 0
    boxes, scores = some_boxes(30, seed=3)
    _, kept = mmcv.ops.nms(boxes.half(), scores.double(), 0.5)
    assert kept.tolist() == kept_by_loop(boxes, scores, 0.5, 0)


def random(*shape: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


ROIS = torch.tensor([[0, 9.1, 10.2, 25.7, 19.3], [1, 8.0, 12.0, 20.0, 21.3]], dtype=torch.float64)


@pytest.mark.parametrize("aligned", [True, False], ids=["aligned", "legacy"])
@pytest.mark.parametrize("ratio", [0, 1, 3], ids=["adaptive", "one", "three"])
def test_roi_align_averages_each_bin(aligned, ratio):
    """Of a ramp, the mean of a bin is the value at its middle, however many samples there are."""
    scale, (rows, columns) = 0.25, (3, 2)
    ramp = torch.arange(9.0, dtype=torch.float64) + 10 * torch.arange(7.0).double()[:, None]
    maps = torch.stack([ramp, -ramp])[:, None]
    corners = ROIS[:, 1:] * scale - (0.5 if aligned else 0.0)
    x = torch.lerp(
        *corners[:, [0, 2]].T, ((torch.arange(columns).double() + 0.5) / columns)[:, None]
    )
    y = torch.lerp(*corners[:, [1, 3]].T, ((torch.arange(rows).double() + 0.5) / rows)[:, None])
    expected = (x[None] + 10 * y[:, None]) * torch.tensor([1.0, -1.0])
    output = mmcv.ops.roi_align(maps, ROIS, (rows, columns), scale, ratio, "avg", aligned)
    torch.testing.assert_close(output, expected.permute(2, 0, 1)[:, None])


def test_roi_align_takes_as_many_samples_as_it_is_asked_for():
    maps = random(2, 3, 7, 9, seed=0)
    for ratio in (1, 3):
        expected = ops.roi_align(maps, ROIS, (3, 2), 0.25, ratio, True)
        output = mmcv.ops.roi_align(maps, ROIS, (3, 2), 0.25, ratio, "avg", True)
        torch.testing.assert_close(output, expected)


@needs_stand_in
def test_roi_align_of_maxima_is_refused():
    with pytest.raises(NotImplementedError, match="roi_align_forward"):
        mmcv.ops.roi_align(random(2, 1, 7, 9, seed=0), ROIS, (2, 2), 1.0, 0, "max")


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
def test_deformable_convolution_is_the_plain_one_of_the_moved_image(geometry):
    """Offsets of whole cells, (dy, dx) for each offset group, move that group's channels."""
    torch.manual_seed(0)
    layer = mmcv.ops.DeformConv2d(4, 6, **geometry).double()
    image, moves = random(2, 4, 9, 9, seed=1), [(1.0, 2.0), (0.0, -1.0)][: layer.deform_groups]
    options = {name: getattr(layer, name) for name in ("stride", "padding", "dilation", "groups")}
    moved = torch.cat(
        [
            group.roll((-int(dy), -int(dx)), dims=(2, 3))
            for group, (dy, dx) in zip(image.chunk(len(moves), dim=1), moves, strict=True)
        ],
        dim=1,
    )
    expected = conv2d(moved, layer.weight, None, **options)
    taps = math.prod(layer.kernel_size)
    offset = torch.tensor([each for move in moves for each in move * taps]).double()
    output = layer(image, offset[None, :, None, None].expand(2, -1, *expected.shape[2:]))
    inside = np.s_[..., 2:-3, 3:-3] if expected.shape[2] > 5 else np.s_[..., 1:-1, 3:-3]
    assert expected[inside].numel() > 0
    torch.testing.assert_close(output[inside], expected[inside])
