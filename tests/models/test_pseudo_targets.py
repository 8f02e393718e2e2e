import math

import numpy as np
import pytest
import torch

from equikpt.cli import launch
from equikpt.core.configs import strip_pretrained_init
from equikpt.models.pseudo_targets import (
    heatmap_targets,
    is_mirrored,
    keypoint_weights,
    simcc_targets,
    swap_mirrored,
    warp_heatmaps,
    warp_points,
    warp_simcc,
)

HEATMAPS = "smoke/td-hm_efficientnet-lite0_horse26-192x192"
SIMCC = "smoke/rtmpose_m_ap10k"
PX_PER_CELL = torch.tensor([8.0, 4.0])
WIDTH, HEIGHT = 24, 20
IDENTITY = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
MIRROR = torch.tensor([[[-1.0, 0, (WIDTH - 1) * 8], [0, 1, 0]]])


@pytest.fixture(scope="module")
def head_of():
    """``head_of(name)``: the head of a config's model."""

    def build(name: str):
        cfg = launch.load_config(name)
        strip_pretrained_init(cfg.model)
        return launch.build_model(cfg).head

    return build


def turned(degrees: float, scale: float, shift: tuple[float, float]) -> torch.Tensor:
    cos, sin = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return torch.tensor([[[cos, -sin, shift[0]], [sin, cos, shift[1]]]])


def gaussian(x: float, y: float, sigma: float = 1.5) -> torch.Tensor:
    """(1, 1, H, W) around a place in cells."""
    columns, rows = torch.arange(WIDTH) - x, torch.arange(HEIGHT) - y
    return torch.exp(-(columns**2 + rows[:, None] ** 2) / (2 * sigma**2))[None, None]


def vector(length: int, center: float, sigma: float) -> torch.Tensor:
    """(1, 1, length) of a distribution around a bin."""
    return torch.softmax(-((torch.arange(length) - center) ** 2) / (2 * sigma**2), 0)[None, None]


def moments(distribution: torch.Tensor) -> tuple[float, float]:
    bins = torch.arange(distribution.shape[-1])
    mean = float((distribution * bins).sum())
    return mean, float((distribution * (bins - mean) ** 2).sum())


def test_the_same_view_and_whole_cells_and_a_mirror_are_exact():
    maps = torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(warp_heatmaps(maps, IDENTITY, PX_PER_CELL), maps, atol=1e-5, rtol=0)
    mirrored = warp_heatmaps(maps, MIRROR, PX_PER_CELL)
    torch.testing.assert_close(mirrored, maps.flip(-1), atol=1e-5, rtol=0)
    shift = torch.tensor([[[1.0, 0, 16], [0, 1, -4]]])  # 2 cells to the right, 1 up
    moved = warp_heatmaps(maps, shift, PX_PER_CELL)
    torch.testing.assert_close(moved[..., :-2, 3:], maps[..., 1:-1, 1:-2], atol=1e-5, rtol=0)
    assert moved[..., :1].abs().max() < 1e-5


def test_a_turned_gaussian_lies_where_the_point_goes_and_keeps_its_height():
    matrix, square = turned(30, 1.0, (40, -30)), torch.tensor([8.0, 8.0])
    point = torch.tensor([[[9.0, 11.0]]]) * 8
    warped = warp_heatmaps(gaussian(9, 11), matrix, square)
    x, y = (warp_points(point, matrix)[0, 0] / 8).tolist()
    assert 2 < x < WIDTH - 3
    assert 2 < y < HEIGHT - 3
    torch.testing.assert_close(warped, gaussian(x, y), atol=0.03, rtol=0)
    assert warped.min() >= 0


def test_a_vector_in_the_same_view_and_mirrored_is_exact():
    both = torch.rand(1, 2, 40), torch.rand(1, 2, 30)
    both = tuple(each / each.sum(-1, keepdim=True) for each in both)
    for found, expected in zip(warp_simcc(*both, IDENTITY, 2.0), both, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    mirror = torch.tensor([[[-1.0, 0, 39 / 2], [0, 1, 0]]])
    along_x, along_y = warp_simcc(*both, mirror, 2.0)
    torch.testing.assert_close(along_x, both[0].flip(-1), atol=1e-5, rtol=0)
    torch.testing.assert_close(along_y, both[1], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("degrees", "scale"), [(0, 1.2), (25, 1.0), (-70, 0.8)])
def test_mean_and_variance_of_vectors_are_those_of_the_moved_point(degrees, scale):
    ratio, means, sigmas = 2.0, (80.0, 60.0), (4.0, 7.0)
    matrix = turned(degrees, scale, (0, 0))
    matrix[0, :, 2] = torch.tensor([50.0, 40]) - matrix[0, :, :2] @ torch.tensor([40.0, 30])
    vectors = [vector(200, mean, sigma) for mean, sigma in zip(means, sigmas, strict=True)]
    for axis, warped in enumerate(warp_simcc(*vectors, matrix, ratio)):
        mean, variance = moments(warped)
        assert warped.sum() == pytest.approx(1, abs=1e-5)
        assert mean == pytest.approx((100, 80)[axis], abs=0.05)
        factors = matrix[0, axis, :2].square()
        expected = float((factors * torch.tensor(sigmas).square()).sum())
        assert variance == pytest.approx(expected, abs=0.6)  # a cell's own width, twice


def test_a_vector_that_leaves_the_view_has_no_mass():
    vectors = vector(100, 50, 2), vector(100, 50, 2)
    away = torch.tensor([[[1.0, 0, 500], [0, 1, 0]]])
    along_x, along_y = warp_simcc(*vectors, away, 2.0)
    assert along_x.abs().max() == 0
    torch.testing.assert_close(along_y, vectors[1], atol=1e-5, rtol=0)


def test_only_mirrored_images_swap_their_sides():
    matrix = torch.cat([IDENTITY, MIRROR])
    assert is_mirrored(matrix).tolist() == [False, True]
    values = torch.tensor([[0.0, 1, 2], [0, 1, 2]])
    assert swap_mirrored(values, matrix, [0, 2, 1]).tolist() == [[0, 1, 2], [0, 2, 1]]


def test_weights_are_confidences_of_confident_points_in_the_view():
    confidence = torch.tensor([[0.9, 0.6, 0.59, 0.9]])
    points = torch.tensor([[[5.0, 5], [0, 9], [5, 5], [10, 5]]])
    weights = keypoint_weights(confidence, points, (10, 10), 0.6)
    torch.testing.assert_close(weights, torch.tensor([[0.9, 0.6, 0, 0]]))


def test_heatmap_targets_of_an_encoded_point_lie_where_it_goes(head_of):
    head = head_of(HEATMAPS)
    point = np.array([[[40.0, 56]]], np.float32)
    maps = torch.from_numpy(head.decoder.encode(point)["heatmaps"])[None]
    matrix = torch.tensor([[[0.8, 0, 20], [0, 0.8, -4]]])
    targets, scores, points = heatmap_targets(head, head.decoder, [maps], matrix)
    np.testing.assert_allclose(points[0, 0], [52, 40.8], atol=5)  # half a cell is 4 px
    found, _ = head.decoder.decode(targets["heatmaps"][0].numpy())
    np.testing.assert_allclose(found[0, 0], [52, 40.8], atol=1)
    assert 0.8 < float(scores) <= 1


def test_simcc_targets_of_an_encoded_point_become_its_distribution_in_the_loss(head_of):
    head = head_of(SIMCC)
    encoded = head.decoder.encode(np.array([[[40.0, 56]]], np.float32))
    maps = [torch.from_numpy(encoded[f"keypoint_{axis}_labels"]) for axis in "xy"]
    matrix = torch.tensor([[[0.0, -1, 120], [1, 0, 0]]])  # a quarter turn
    targets, _, points = simcc_targets(head, head.decoder, maps, matrix)
    assert points[0, 0].tolist() == [64, 40]
    loss = head.loss_module
    for axis, expected in zip("xy", (maps[1].flip(-1), maps[0]), strict=True):
        found = torch.softmax(loss.label_beta * targets[f"keypoint_{axis}_labels"], -1)
        assert int(found.argmax()) == 2 * dict(x=64, y=40)[axis]
        peak = torch.softmax(loss.beta * expected, -1).max()
        assert float(found.max()) == pytest.approx(float(peak), rel=0.1)
