from __future__ import annotations

import pickle

import numpy as np
import pytest
from mmpose.codecs import SimCCLabel

from equikpt.codecs import FastSimCCLabel

INPUT = (96, 64)
OPTIONS = {
    "rtmpose": dict(sigma=(5.66, 5.66), normalize=False),
    "normalised": dict(sigma=(4.9, 2.0)),
    "odd-ratio": dict(sigma=3.0, simcc_split_ratio=1.3),
    "standard": dict(smoothing_type="standard", label_smooth_weight=0.1),
}


def draw(seed: int, instances: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Points about and around the input, and which of them are labelled."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-60, 160, (instances, 26, 2)).astype(np.float32)
    return points, (rng.random((instances, 26)) > 0.3).astype(np.float32)


@pytest.mark.parametrize("instances", [1, 2])
@pytest.mark.parametrize("name", OPTIONS)
def test_labels_and_weights_are_those_of_the_stock_codec(name, instances):
    stock, ours = (kind(INPUT, **OPTIONS[name]) for kind in (SimCCLabel, FastSimCCLabel))
    dropped = 0
    for seed in range(30):
        points, visible = draw(seed, instances)
        kept = visible.copy()
        expected, got = stock.encode(points, visible), ours.encode(points, visible)
        assert got.keys() == expected.keys()
        for key, value in expected.items():
            assert np.array_equal(got[key], value), key
            assert got[key].dtype == value.dtype
        assert np.array_equal(visible, kept)
        dropped += int((visible > got["keypoint_weights"]).sum())
    assert dropped > 100  # points that are out of reach


@pytest.mark.parametrize("edge", [-17.5, -9.0, -8.5, -8.25, 0.0, 95.5, 96.0, 104.25, 104.5, 105.0])
def test_points_at_the_edge_of_reach(edge):
    """Three sigmas are 16.98 cells, 8.49 px."""
    stock, ours = (kind(INPUT, **OPTIONS["rtmpose"]) for kind in (SimCCLabel, FastSimCCLabel))
    points = np.array([[[edge, 30.0], [30.0, edge - 32]]], np.float32)
    expected, got = stock.encode(points), ours.encode(points)
    assert all(np.array_equal(got[key], expected[key]) for key in expected)


def test_decoding_and_pickling_are_untouched():
    points, visible = draw(0)
    points = np.clip(points, 0, 63)
    codec = pickle.loads(pickle.dumps(FastSimCCLabel(INPUT, **OPTIONS["rtmpose"])))
    encoded = codec.encode(points, np.ones_like(visible))
    decoded, _ = codec.decode(encoded["keypoint_x_labels"][0], encoded["keypoint_y_labels"][0])
    assert np.abs(decoded - points).max() <= 0.25 + 1e-5
