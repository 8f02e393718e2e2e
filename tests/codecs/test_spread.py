from __future__ import annotations

import numpy as np
import pytest

from equikpt.codecs import FastMSRAHeatmap, FastSimCCLabel, FastUDPHeatmap, SoftmaxHeatmap

INPUT = (96, 64)
CELLS = dict(input_size=INPUT, heatmap_size=(24, 16))
CODECS = {
    "udp": lambda sigma: FastUDPHeatmap(**CELLS, sigma=sigma),
    "msra": lambda sigma: FastMSRAHeatmap(**CELLS, sigma=sigma, unbiased=True),
    "softmax": lambda sigma: SoftmaxHeatmap(**CELLS, sigma=sigma),
    "simcc": lambda sigma: FastSimCCLabel(INPUT, sigma=4 * sigma, normalize=False),
}
POINTS = np.array([[[40.0, 30.0], [60.0, 20.0]]], np.float32)
OTHERS = np.array([[[70.0, 40.0], [20.0, 50.0]]], np.float32)


def outputs(name: str, sigma: float, points: np.ndarray = POINTS) -> tuple[np.ndarray, ...]:
    """What a network that learnt its targets gives; of a softmax, their logarithm."""
    encoded = CODECS[name](sigma).encode(points)
    if name == "simcc":
        return encoded["keypoint_x_labels"][0], encoded["keypoint_y_labels"][0]
    maps = encoded["heatmaps"]
    return (np.log(maps + 1e-6),) if name == "softmax" else (maps,)


@pytest.mark.parametrize("name", CODECS)
def test_a_broader_peak_spreads_further(name):
    narrow, broad = (CODECS[name](2.0).spread(*outputs(name, sigma)) for sigma in (1.0, 2.0))
    assert narrow.shape == (1, 2)
    assert (narrow > 0).all()
    assert (broad > 1.3 * narrow).all()


@pytest.mark.parametrize("name", ["udp", "msra"])
def test_a_gaussian_spreads_as_its_entropy_says(name):
    """The entropy of a Gaussian of two dimensions is 1 + log(2 π sigma²)."""
    spread = CODECS[name](2.0).spread(*outputs(name, 2.0))
    cell_px = np.mean(CODECS[name](2.0).scale_factor)
    expected = 2.0 / np.sqrt(3) * np.sqrt(2 * np.e) * cell_px  # a Gaussian cubed is narrower
    assert spread == pytest.approx(np.full((1, 2), expected), rel=0.05)


@pytest.mark.parametrize("name", CODECS)
def test_a_second_peak_shows(name):
    one, other = outputs(name, 1.0), outputs(name, 1.0, OTHERS)
    both = [
        np.maximum(a, 0.9 * b if name != "softmax" else b - 0.1)
        for a, b in zip(one, other, strict=True)
    ]
    codec = CODECS[name](1.0)
    assert (codec.spread(*both) > 1.2 * codec.spread(*one)).all()


@pytest.mark.parametrize("name", ["udp", "msra"])
def test_an_empty_map_says_that_nothing_is_known(name):
    codec = CODECS[name](1.0)
    empty = codec.spread(np.zeros((2, 16, 24), np.float32))
    assert empty == pytest.approx(np.sqrt(np.prod(INPUT) / np.pi), rel=0.1)
