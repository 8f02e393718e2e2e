import itertools

import numpy as np
import pytest
import torch

from equikpt.codecs import FastMSRAHeatmap, FastSimCCLabel, FastUDPHeatmap, SoftmaxHeatmap
from equikpt.codecs.multi_peak_heatmap import MultiPeakHeatmap
from equikpt.codecs.spread import disk_radius
from equikpt.export.decoders import decoder_of

SIZES = dict(input_size=(192, 256), heatmap_size=(48, 64))
HEATMAPS = dict(
    udp=FastUDPHeatmap(**SIZES, sigma=2),
    udp_narrow=FastUDPHeatmap(**SIZES, sigma=1, blur_kernel_size=5),
    msra=FastMSRAHeatmap(**SIZES, sigma=2),
    unbiased=FastMSRAHeatmap(**SIZES, sigma=2, unbiased=True),
    softmax=SoftmaxHeatmap(**SIZES),
)
SIMCC = dict(
    plain=FastSimCCLabel(input_size=(192, 256), sigma=(4.9, 5.66), simcc_split_ratio=2.0),
    dark=FastSimCCLabel(
        input_size=(192, 256), sigma=(4.9, 5.66), simcc_split_ratio=2.0, use_dark=True
    ),
)
CORNERS = [*itertools.product((0, 1, 2, 189, 190, 191), (0, 1, 2, 253, 254, 255)), (95.3, 120.8)]


def peaky(codec, noise):
    """Heatmaps (1, K, H, W) of points at and near the borders, and of one in the middle."""
    points = np.array(CORNERS, float)[None]
    maps = codec.encode(points)["heatmaps"].astype(np.float32)
    rng = np.random.default_rng(0)
    maps += noise * rng.random(maps.shape, np.float32)
    if isinstance(codec, SoftmaxHeatmap):
        maps = 12 * maps
    return maps[None]


def random(codec, low):
    width, height = codec.heatmap_size
    return np.random.default_rng(1).uniform(low, 1, (2, 5, height, width)).astype(np.float32)


def ties(codec):
    """Two equal cells each: the first in reading order counts."""
    width, height = codec.heatmap_size
    maps = np.full((1, 3, height, width), 0.01, np.float32)
    for index, cells in enumerate((((9, 9), (9, 12)), ((4, 30), (20, 10)), ((7, 7), (7, 8)))):
        for row, column in cells:
            maps[0, index, row, column] = 0.8
    return maps


def check(codec, batch, is_flat=False):
    decoded = decoder_of(codec)(batch)
    pairs = zip(*batch, strict=True) if isinstance(batch, tuple) else batch
    for index, one in enumerate(pairs):
        parts = one if isinstance(one, tuple) else (one,)
        maps = tuple((each[None] if len(parts) > 1 else each).numpy() for each in parts)
        spread = codec.spread(*maps)
        coords, scores = codec.decode(*(each.copy() for each in maps))  # it writes into them
        distances = np.abs(decoded.coords[index].numpy() - coords[0])
        if is_flat:  # where a map hardly bends, a step doubles each rounding of the blur many times
            assert np.quantile(distances, 0.8) < 1e-3
            np.testing.assert_allclose(decoded.coords[index], coords[0], rtol=1e-3, atol=2e-2)
        else:
            assert distances.max() < 1e-3
        np.testing.assert_allclose(decoded.scores[index], scores[0], atol=1e-5)
        np.testing.assert_allclose(decoded.spread[index], spread[0], rtol=1e-4)


@pytest.mark.parametrize("codec", HEATMAPS.values(), ids=HEATMAPS)
@pytest.mark.parametrize("noise", [0.0, 0.05, 0.3])
def test_peaks_anywhere_are_decoded_as_by_the_codec(codec, noise):
    check(codec, torch.from_numpy(peaky(codec, noise)), is_flat=noise > 0.1)


@pytest.mark.parametrize("codec", HEATMAPS.values(), ids=HEATMAPS)
@pytest.mark.parametrize("low", [0.0, -1.0])
def test_random_maps_are_decoded_as_by_the_codec(codec, low):
    check(codec, torch.from_numpy(random(codec, low)), is_flat=True)


@pytest.mark.parametrize("codec", HEATMAPS.values(), ids=HEATMAPS)
def test_of_equal_cells_the_first_counts(codec):
    check(codec, torch.from_numpy(ties(codec)))


@pytest.mark.parametrize("name", ["udp", "msra", "unbiased"])
def test_maps_below_zero_have_no_point(name):
    codec = HEATMAPS[name]
    maps = torch.from_numpy(random(codec, -1.0) - 1.5)
    decoded = decoder_of(codec)(maps)
    assert (decoded.scores < 0).all()
    for index, one in enumerate(maps.numpy()):
        np.testing.assert_allclose(decoded.coords[index], codec.decode(one)[0][0], atol=1e-3)
    width, height = codec.heatmap_size
    whole = disk_radius(np.log(width * height), np.prod(codec.scale_factor))
    np.testing.assert_allclose(decoded.spread, whole, rtol=1e-4)


@pytest.mark.parametrize("codec", SIMCC.values(), ids=SIMCC)
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_simcc_is_decoded_as_by_the_codec(codec, noise):
    labels = codec.encode(np.array(CORNERS, float)[None])
    rng = np.random.default_rng(2)
    batch = tuple(
        torch.from_numpy(
            (labels[f"keypoint_{axis}_labels"] + noise * rng.random(1)).astype(np.float32)
        )
        for axis in "xy"
    )
    check(codec, batch)


@pytest.mark.parametrize("codec", SIMCC.values(), ids=SIMCC)
@pytest.mark.parametrize("shift", [0.0, -1.5])
def test_random_simcc_is_decoded_as_by_the_codec(codec, shift):
    rng = np.random.default_rng(3)
    batch = tuple(
        torch.from_numpy((rng.random((2, 5, size)) + shift).astype(np.float32))
        for size in (384, 512)
    )
    check(codec, batch)


def test_the_wrong_codec_would_be_seen():
    maps = torch.from_numpy(peaky(HEATMAPS["udp"], 0.0))
    decoded = decoder_of(HEATMAPS["msra"])(maps).coords[0]
    coords, _ = HEATMAPS["udp"].decode(maps[0].numpy().copy())
    assert np.abs(decoded.numpy() - coords[0]).max() > 0.1


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        (MultiPeakHeatmap(input_size=(64, 64), heatmap_size=(16, 16)), "MultiPeakHeatmap"),
        (FastUDPHeatmap(**SIZES, heatmap_type="combined"), "combined"),
    ],
    ids=["peaks", "combined"],
)
def test_codecs_without_a_decoder_are_refused(codec, name):
    with pytest.raises(ValueError, match=name):
        decoder_of(codec)
