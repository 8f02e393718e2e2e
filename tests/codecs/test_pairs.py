from __future__ import annotations

import numpy as np
import pytest

from equikpt.codecs import FastMSRAHeatmap, FastSimCCLabel, FastUDPHeatmap
from equikpt.codecs.fast_codecs import gaussian_heatmaps
from equikpt.codecs.pairs import separate_pairs

SWAP = [1, 0, 2]
"""Left and right hoof, nose."""
A, B, NOSE = (4.0, 12.0), (14.0, 11.0), (9.0, 3.0)
SIZE = (24, 16)
REACH = 2.4


def maps(*peaks: dict[tuple[float, float], float]) -> np.ndarray:
    """(K, H, W) Gaussians at x, y of the heights that are given."""
    drawn = [
        np.max(
            [
                height * gaussian_heatmaps(np.array([cell]), np.array([True]), SIZE, 1.2)[0]
                for cell, height in each.items()
            ],
            axis=0,
        )
        for each in peaks
    ]
    return np.stack(drawn)


def highest(heatmaps: np.ndarray) -> list[tuple[int, int]]:
    cells = [np.unravel_index(each.argmax(), each.shape) for each in heatmaps]
    return [(int(column), int(row)) for row, column in cells]


def test_two_hooves_on_one_leg_are_set_apart():
    """Left is at B with 0.4, right with 0.3, and both at A with (1.3 − 0.7) / 2."""
    doubled = maps({A: 0.6, B: 0.4}, {A: 0.7, B: 0.3}, {NOSE: 0.9})
    assert highest(doubled) == [A, A, NOSE]  # planted
    separated = separate_pairs(doubled, SWAP, REACH)
    assert highest(separated) == [B, A, NOSE]
    assert separated[0].max() == pytest.approx(0.4)  # and its score says so
    np.testing.assert_array_equal(separated[1:], doubled[1:])
    assert highest(doubled) == [A, A, NOSE]  # the input is as it was


def test_the_larger_product_says_which_of_both_moves():
    """Right at A and left at B is 0.9 · 0.4, the other way round 0.7 · 0.45."""
    doubled = maps({A: 0.7, B: 0.4}, {A: 0.9, B: 0.45}, {NOSE: 0.9})
    assert highest(separate_pairs(doubled, SWAP, REACH)) == [B, A, NOSE]
    assert highest(separate_pairs(doubled[[1, 0, 2]], SWAP, REACH)) == [A, B, NOSE]


UNCHANGED = {
    "two peaks": maps({A: 0.6, B: 0.5}, {B: 0.7, A: 0.65}, {NOSE: 0.9}),
    "one place without another": maps({A: 0.6}, {A: 0.7}, {NOSE: 0.9}),
    "one place, which is likelier": maps({A: 0.8, B: 0.3}, {A: 0.8, B: 0.2}, {NOSE: 0.9}),
    "another that is too near": maps({A: 0.6, (6.0, 12.0): 0.5}, {A: 0.7}, {NOSE: 0.9}),
    "an empty map": np.concatenate([np.zeros((1, 16, 24)), maps({A: 0.7}, {NOSE: 0.9})]),
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_nothing_else_changes(name):
    given = UNCHANGED[name]
    np.testing.assert_array_equal(separate_pairs(given, SWAP, REACH), given)


def test_keypoints_that_are_no_pair_may_be_in_one_place():
    doubled = maps({A: 0.6, B: 0.4}, {A: 0.7, B: 0.3}, {NOSE: 0.9})
    np.testing.assert_array_equal(separate_pairs(doubled, [0, 1, 2], REACH), doubled)


def test_mirrored_maps_are_separated_alike():
    doubled = maps({A: 0.6, B: 0.4}, {A: 0.7, B: 0.3}, {NOSE: 0.9})
    mirrored = separate_pairs(doubled[SWAP, :, ::-1], SWAP, REACH)
    np.testing.assert_array_equal(mirrored[SWAP, :, ::-1], separate_pairs(doubled, SWAP, REACH))


CODECS = {
    "udp": FastUDPHeatmap(input_size=(192, 128), heatmap_size=SIZE, sigma=1.2),
    "msra": FastMSRAHeatmap(input_size=(192, 128), heatmap_size=SIZE, sigma=1.2),
}


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_reads_the_other_peak(name):
    codec = CODECS[name]
    doubled = maps({A: 0.6, B: 0.4}, {A: 0.7, B: 0.3}, {NOSE: 0.9})
    before, after = (codec.decode(each)[0][0] for each in (doubled, codec.separate(doubled, SWAP)))
    expected = codec.decode(maps({B: 0.4}, {A: 0.7}, {NOSE: 0.9}))[0][0]
    assert np.linalg.norm(before[0] - before[1]) < 4
    np.testing.assert_allclose(after, expected, atol=1.5)


def test_codecs_without_one_map_a_keypoint_separate_nothing():
    assert not hasattr(FastSimCCLabel((96, 64), sigma=4.0), "separate")
    with pytest.raises(ValueError, match="separate_pairs"):
        separate_pairs(np.zeros((9, 16, 24)), SWAP, REACH)
