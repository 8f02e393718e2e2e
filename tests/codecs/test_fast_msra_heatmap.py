from __future__ import annotations

import numpy as np
import pytest
from mmpose.codecs import MSRAHeatmap

from equikpt.codecs import FastMSRAHeatmap

SIZES = dict(input_size=(96, 64), heatmap_size=(24, 16))


@pytest.mark.parametrize("sigma", [1, 2, 1.5, 2.0], ids=str)
@pytest.mark.parametrize("unbiased", [False, True], ids=["cells", "unbiased"])
def test_heatmaps_and_weights_are_those_of_the_stock_codec(unbiased, sigma):
    options = dict(**SIZES, sigma=sigma, unbiased=unbiased)
    stock, ours = MSRAHeatmap(**options), FastMSRAHeatmap(**options)
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
    assert dropped > 100
    everywhere = ours.encode(points)
    assert np.array_equal(everywhere["keypoint_weights"], stock.encode(points)["keypoint_weights"])


def test_the_window_cuts_a_gaussian_off_and_the_unbiased_one_has_none():
    """What the two kinds differ in; the first control of the comparison above."""
    point = np.array([[[48.0, 32.0]]], np.float32)
    cut, whole = (
        FastMSRAHeatmap(**SIZES, sigma=1, unbiased=unbiased).encode(point)["heatmaps"][0]
        for unbiased in (False, True)
    )
    assert (cut > 0).sum() == 49
    assert (whole > 0).sum() > 150
    assert cut.max() == whole.max() == 1
