import pickle

import numpy as np
import pytest
from mmpose.codecs import MSRAHeatmap, SimCCLabel, UDPHeatmap

from equikpt.codecs import FastMSRAHeatmap, FastSimCCLabel, FastUDPHeatmap

INPUT = (96, 64)
SIZES = dict(input_size=INPUT, heatmap_size=(24, 16))
RTMPOSE = dict(sigma=(5.66, 5.66), normalize=False)
PAIRS = {  # stock, ours, options, greatest difference
    **{
        f"msra-{sigma}-{unbiased}": (
            MSRAHeatmap, FastMSRAHeatmap, dict(**SIZES, sigma=sigma, unbiased=unbiased), 1e-6,
        )
        for sigma in (1, 1.5, 2.0)
        for unbiased in (False, True)
    },
    **{
        f"udp-{options}": (UDPHeatmap, FastUDPHeatmap, dict(**SIZES, **options), 1e-6)
        for options in (dict(sigma=2), dict(sigma=1.0), dict(sigma=1.5),
                        dict(heatmap_type="combined"))
    },
    **{
        f"simcc-{name}": (SimCCLabel, FastSimCCLabel, dict(input_size=INPUT, **options), 0)
        for name, options in dict(
            rtmpose=RTMPOSE,
            normalised=dict(sigma=(4.9, 2.0)),
            odd_ratio=dict(sigma=3.0, simcc_split_ratio=1.3),
            standard=dict(smoothing_type="standard", label_smooth_weight=0.1),
        ).items()
    },
}  # fmt: skip


def draw(seed: int, instances: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Points in and around the input, and which of them are labelled."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-60, 160, (instances, 26, 2)).astype(np.float32)
    return points, (rng.random((instances, 26)) > 0.3).astype(np.float32)


@pytest.mark.parametrize("name", PAIRS)
def test_targets_and_weights_are_those_of_the_stock_codec(name):
    stock, ours, options, tolerance = PAIRS[name]
    stock, ours = stock(**options), ours(**options)
    dropped = 0
    for seed in range(40):
        instances = 1 + seed % 2 if name.startswith("simcc") else 1
        points, visible = draw(seed, instances)
        kept = visible.copy()
        for arguments in ((points, visible), (points,)):
            expected, got = stock.encode(*arguments), ours.encode(*arguments)
            assert got.keys() == expected.keys()
            for key, value in expected.items():
                exact = 0 if key == "keypoint_weights" else tolerance
                np.testing.assert_allclose(got[key], value, rtol=0, atol=exact, err_msg=key)
                assert got[key].dtype == value.dtype
        assert np.array_equal(visible, kept)
        dropped += int((got["keypoint_weights"] < 1).sum())
    assert dropped > 100 or "combined" in name  # points that are out of reach


@pytest.mark.parametrize("edge", [-17.5, -9.0, -8.5, -8.25, 0.0, 95.5, 96.0, 104.25, 104.5, 105.0])
def test_points_at_the_edge_of_reach(edge):
    """Three sigmas are 16.98 cells, 8.49 px."""
    stock, ours = (kind(INPUT, **RTMPOSE) for kind in (SimCCLabel, FastSimCCLabel))
    points = np.array([[[edge, 30.0], [30.0, edge - 32]]], np.float32)
    expected, got = stock.encode(points), ours.encode(points)
    assert all(np.array_equal(got[key], expected[key]) for key in expected)


def test_the_window_cuts_a_gaussian_off_and_the_unbiased_one_has_none():
    """A control of the comparison above: the two kinds differ."""
    point = np.array([[[48.0, 32.0]]], np.float32)
    cut, whole = (
        FastMSRAHeatmap(**SIZES, sigma=1, unbiased=unbiased).encode(point)["heatmaps"][0]
        for unbiased in (False, True)
    )
    assert (cut > 0).sum() == 49
    assert (whole > 0).sum() > 150
    assert cut.max() == whole.max() == 1


def test_decoding_and_pickling_are_untouched():
    points = np.clip(draw(0)[0], 20, 44)
    codec = pickle.loads(pickle.dumps(FastSimCCLabel(INPUT, **RTMPOSE)))
    encoded = codec.encode(points)
    decoded, _ = codec.decode(encoded["keypoint_x_labels"][0], encoded["keypoint_y_labels"][0])
    assert np.abs(decoded - points).max() <= 0.25 + 1e-5
    udp = FastUDPHeatmap(**SIZES, sigma=2)  # whose refinement, MMPose's own, is up to 0.9 px off
    assert np.abs(udp.decode(udp.encode(points)["heatmaps"])[0] - points).max() < 1
