from __future__ import annotations

import numpy as np
import pytest
from mmpose.codecs import UDPHeatmap

from equikpt.codecs import FastUDPHeatmap

SIZES = dict(input_size=(96, 64), heatmap_size=(24, 16))
OPTIONS = {
    "sigma-2": dict(sigma=2),
    "sigma-1.0": dict(sigma=1.0),
    "lopsided-window": dict(sigma=1.5),
    "combined": dict(heatmap_type="combined"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_heatmaps_and_weights_are_those_of_the_stock_codec(name):
    stock, ours = (kind(**SIZES, **OPTIONS[name]) for kind in (UDPHeatmap, FastUDPHeatmap))
    rng = np.random.default_rng(0)
    dropped = 0
    for _ in range(40):
        points = rng.uniform(-60, 160, (1, 26, 2)).astype(np.float32)
        visible = (rng.random((1, 26)) > 0.3).astype(np.float32)
        expected, got = stock.encode(points, visible), ours.encode(points, visible)
        assert got["heatmaps"].dtype == expected["heatmaps"].dtype
        assert np.allclose(got["heatmaps"], expected["heatmaps"], rtol=0, atol=1e-6)
        assert np.array_equal(got["keypoint_weights"], expected["keypoint_weights"])
        dropped += int((visible > got["keypoint_weights"]).sum())
    assert dropped > 100 or name == "combined"  # which drops none


def test_points_come_back_to_a_fraction_of_a_px():
    codec = FastUDPHeatmap(**SIZES, sigma=2)
    points = np.random.default_rng(0).uniform(20, 44, (1, 26, 2)).astype(np.float32)
    decoded, _ = codec.decode(codec.encode(points)["heatmaps"])
    # The refinement, which is MMPose's own, is up to 0.9 px off.
    assert np.abs(decoded - points).max() < 1
