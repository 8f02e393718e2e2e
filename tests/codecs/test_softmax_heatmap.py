import numpy as np
import pytest

from equikpt.codecs import SoftmaxHeatmap
from equikpt.datasets.transforms import TopdownAffineCrop

SIZES = dict(input_size=(100, 68), heatmap_size=(25, 17))  # 4 px a cell on both axes


def logits_of(heatmaps):
    """Logits whose softmax is the normalised target."""
    return np.log(np.maximum(heatmaps, 1e-30))


def test_a_target_is_the_gaussian_around_the_exact_point():
    codec = SoftmaxHeatmap(**SIZES, sigma=1.5)
    target = codec.encode(np.array([[[42.0, 22.0]]]))["heatmaps"]
    assert target.shape == (1, 17, 25)
    assert target.dtype == np.float32
    # The point is cell (10.5, 5.5); cell (12, 6) lies 1.5 and 0.5 cells off.
    assert target[0, 6, 12] == pytest.approx(np.exp(-(1.5**2 + 0.5**2) / (2 * 1.5**2)))
    assert target[0, 16, 24] > 0  # not cut off
    codec = SoftmaxHeatmap(**SIZES)
    logits = np.full((2, 17, 25), -50.0)
    logits[0, 0, 0] = logits[1, 16, 24] = 50
    decoded, _ = codec.decode(logits)
    np.testing.assert_allclose(decoded[0], [[0, 0], [96, 64]], atol=1e-6)


def test_points_come_back_to_a_hundredth_of_a_px():
    codec = SoftmaxHeatmap(**SIZES, sigma=1.0)
    points = np.random.default_rng(0).uniform((20, 20), (76, 44), (1, 40, 2))
    decoded, scores = codec.decode(logits_of(codec.encode(points)["heatmaps"]))
    assert decoded.shape == (1, 40, 2)
    assert np.abs(decoded - points).max() < 0.01
    assert scores.min() > 0.99


def test_points_come_back_through_the_crop_and_the_estimators_map():
    """The warp and MMPose's way back are inverse to one another only without UDP."""
    size = SIZES["input_size"]
    crop = dict(
        img=np.zeros((700, 640, 3), np.uint8),
        bbox_center=np.array([[320.0, 350.0]]),
        bbox_scale=np.array([[640.0, 700.0]]),
        keypoints=np.array([[[20.0, 150.0], [610.0, 540.0], [320.0, 350.0]]]),
    )
    codec = SoftmaxHeatmap(**SIZES, sigma=1.0)
    off_px = {}
    for use_udp in (False, True):
        cut = TopdownAffineCrop(size, use_udp=use_udp).transform(dict(crop))
        logits = logits_of(codec.encode(cut["transformed_keypoints"])["heatmaps"])
        decoded = codec.decode(logits)[0][0] / size * cut["input_scale"]
        decoded += cut["input_center"] - cut["input_scale"] / 2
        off_px[use_udp] = np.abs(decoded - crop["keypoints"][0]).max()
    assert off_px[False] < 0.1
    assert off_px[True] > 2


def test_a_second_maximum_far_off_does_not_pull_but_takes_from_the_score():
    codec = SoftmaxHeatmap(**SIZES, radius=3)
    logits = np.full((1, 17, 25), -50.0)
    logits[0, 8, 5] = np.log(0.6)
    logits[0, 8, 20] = np.log(0.4)
    decoded, scores = codec.decode(logits)
    assert decoded[0, 0] == pytest.approx([20, 32])
    assert scores[0, 0] == pytest.approx(0.6)
    pulled, _ = SoftmaxHeatmap(**SIZES, radius=30).decode(logits)
    assert pulled[0, 0, 0] == pytest.approx(4 * (0.6 * 5 + 0.4 * 20))


def test_hidden_points_and_points_outside_have_no_target():
    codec = SoftmaxHeatmap(**SIZES)
    points = np.array([[[10.0, 10], [20, 20], [-0.5, 10], [50, 67.5], [99, 67]]])
    encoded = codec.encode(points, np.array([[1.0, 0, 1, 1, 1]]))
    assert encoded["keypoint_weights"].tolist() == [[1, 0, 0, 0, 1]]
    assert (encoded["heatmaps"].max(axis=(1, 2)) > 0).tolist() == [True, False, False, False, True]


def test_several_instances_and_senseless_settings_are_refused():
    with pytest.raises(ValueError, match="one instance"):
        SoftmaxHeatmap(**SIZES).encode(np.zeros((2, 3, 2)))
    for wrong in (dict(sigma=0), dict(radius=0), dict(input_size=(0, 5))):
        with pytest.raises(ValueError, match="expected sizes"):
            SoftmaxHeatmap(**{**SIZES, **wrong})
