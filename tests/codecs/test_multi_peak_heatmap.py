import numpy as np
import pytest
import torch

from equikpt.codecs.multi_peak_heatmap import MultiPeakHeatmap, find_peaks

SETTINGS = dict(input_size=(96, 64), heatmap_size=(24, 16), sigma=1.5)


def codec(**options) -> MultiPeakHeatmap:
    return MultiPeakHeatmap(**SETTINGS | options)


def found(heatmaps: np.ndarray, channel: int) -> np.ndarray:
    coords, scores = codec().decode(heatmaps)
    return coords[scores[:, channel] > 0, channel]


def test_a_round_trip_keeps_every_person_to_a_tenth_of_a_px():
    assert codec().sigma_px == (6, 6)
    rng = np.random.default_rng(0)
    for _ in range(20):
        columns = rng.permutation(np.arange(10, 90, 20))[:3] + rng.uniform(-3, 3, 3)
        points = np.stack([np.column_stack([columns, rng.uniform(8, 52, 3)])] * 2, axis=1)
        points[:, 1, 0] += 2.5
        heatmaps = codec().encode(points)["heatmaps"]
        for channel in (0, 1):
            got = found(heatmaps, channel)
            assert len(got) == 3
            nearest = np.linalg.norm(got[:, None] - points[:, channel], axis=-1).min(axis=0)
            assert nearest.max() < 0.1


def test_overlapping_people_keep_the_higher_value():
    apart = [codec().encode(np.array([[point]]))["heatmaps"] for point in ((30, 30), (40, 30))]
    both = codec().encode(np.array([[(30, 30)], [(40, 30)]]))["heatmaps"]
    np.testing.assert_array_equal(both, np.maximum(*apart))
    assert both.max() <= 1


def test_what_is_not_labelled_or_outside_is_not_drawn():
    points = np.array([[(30.0, 30.0), (-5, 30)], [(60, 30), (50, 20)]])
    encoded = codec().encode(points, np.array([[0, 1], [1, 0]]))
    assert found(encoded["heatmaps"], 0).round(2).tolist() == [[60, 30]]
    assert not len(found(encoded["heatmaps"], 1))
    assert encoded["keypoint_weights"].tolist() == [[1, 1]]
    encoded = codec().encode(np.zeros((0, 2, 2)))
    assert (encoded["heatmaps"] == 0).all()
    assert (codec().decode(encoded["heatmaps"])[1] == 0).all()


def bumps(*peaks: tuple[float, float, float]) -> torch.Tensor:
    """(1, 1, 16, 24) with single cells (x, y, height)."""
    heatmap = torch.zeros(1, 1, 16, 24)
    for x, y, height in peaks:
        heatmap[0, 0, y, x] = height
    return heatmap


def cells(heatmap: torch.Tensor, **options) -> list[list[int]]:
    peaks = find_peaks(heatmap, **options)
    return peaks.coords[0, 0][peaks.scores[0, 0] > 0].round().int().tolist()


def test_the_highest_comes_first_and_weak_ones_not_at_all():
    heatmap = bumps((3, 4, 0.5), (15, 9, 0.9), (20, 2, 0.05))
    assert cells(heatmap) == [[15, 9], [3, 4]]
    assert cells(heatmap, score_threshold=0.6) == [[15, 9]]
    assert cells(heatmap, max_peaks=1) == [[15, 9]]
    peaks = find_peaks(bumps((0, 0, 0.9), (23, 15, 0.8)))
    assert peaks.coords[0, 0, :2].tolist() == [[0, 0], [23, 15]]


def test_of_neighbours_only_the_highest_counts():
    heatmap = bumps((10, 8, 0.9), (12, 7, 0.8), (15, 8, 0.7))
    assert cells(heatmap, min_peak_distance=2) == [[10, 8], [15, 8]]
    assert cells(heatmap, min_peak_distance=1) == [[10, 8], [12, 7], [15, 8]]
    # A point right between two cells gives both the same height.
    heatmap = bumps((10, 8, 0.9), (11, 8, 0.9), (11, 9, 0.9), (20, 3, 0.9))
    assert cells(heatmap) == [[20, 3], [10, 8]]


def test_a_batch_is_its_images():
    generator = torch.Generator().manual_seed(0)
    batch = torch.rand(3, 2, 16, 24, generator=generator)
    together = codec().batch_decode(batch)
    for index, image in enumerate(batch):
        for part, alone in zip(together, codec().decode(image.numpy()), strict=True):
            np.testing.assert_allclose(part[index].numpy(), alone, rtol=1e-6)


@pytest.mark.parametrize("option", ["sigma", "min_peak_distance", "score_threshold", "max_peaks"])
def test_options_out_of_range_are_refused(option):
    with pytest.raises(ValueError, match=option):
        codec(**{option: 0})
