import numpy as np
import pytest
from mmpose.datasets.transforms import GenerateTarget

from equikpt.codecs.point_sequence import PointSequence
from equikpt.datasets.transforms import FastPackPoseInputs

SIZE = (64, 32)
POINTS = np.array([[[40.0, 10.0], [10.0, 20.0], [50.0, 5.0], [20.0, 10.0]]])


def codec(order: str = "reading", most: int = 6) -> PointSequence:
    return PointSequence(SIZE, most, order)


def decoded(sequence: PointSequence, encoded: dict) -> list[list[float]]:
    valid = encoded["points_valid"][0] > 0
    return sequence.decode(encoded["points"][:, valid])[0][0].tolist()


def test_coords_span_the_input_in_reading_order():
    encoded = codec().encode(POINTS)
    assert encoded["points_valid"].tolist() == [[1, 1, 1, 1, 0, 0]]
    assert decoded(codec(), encoded) == [[50, 5], [20, 10], [40, 10], [10, 20]]
    corners = np.array([[[0.0, 0.0], [32.0, 16.0], [64.0, 32.0]]])
    assert codec().encode(corners)["points"][0, :3].tolist() == [[-1, -1], [0, 0], [1, 1]]


@pytest.mark.parametrize("order", ["reading", "random", "given"])
def test_round_trip(order):
    points = np.random.default_rng(0).uniform((0, 0), SIZE, (1, 6, 2))
    found = decoded(codec(order), codec(order).encode(points))
    np.testing.assert_allclose(sorted(found), sorted(points[0].tolist()), atol=1e-4)


def test_the_order_of_the_file_does_not_matter():
    shuffled = POINTS[:, [2, 0, 3, 1]]
    first, second = (codec().encode(points)["points"] for points in (POINTS, shuffled))
    assert first.tolist() == second.tolist()
    np.random.seed(0)  # noqa: NPY002 - the state that the codec draws from
    found = [decoded(codec("random"), codec("random").encode(POINTS)) for _ in range(20)]
    assert all(sorted(each) == sorted(POINTS[0].tolist()) for each in found)
    assert len({tuple(map(tuple, each)) for each in found}) > 5


def test_points_without_label():
    encoded = codec().encode(POINTS, np.array([[1, 0, 1, 1]]))
    assert encoded["points_valid"].tolist() == [[1, 1, 1, 0, 0, 0]]
    assert decoded(codec(), encoded) == [[50, 5], [20, 10], [40, 10]]
    points = POINTS.copy()
    points[0, 1] = np.nan  # of no use, where there is no label
    encoded = codec("given", 4).encode(points, np.array([[1, 0, 1, 1]]))
    assert encoded["points_valid"].tolist() == [[1, 0, 1, 1]]
    assert encoded["points"][0, 1].tolist() == [0, 0]
    pixels = codec("given", 4).decode(encoded["points"])[0]
    np.testing.assert_allclose(pixels[0, [0, 2, 3]], POINTS[0, [0, 2, 3]])


@pytest.mark.parametrize("order", ["reading", "given"])
def test_more_points_than_there_is_room_for(order):
    with pytest.raises(ValueError, match="max_points=3"):
        codec(order, 3).encode(POINTS)


def test_no_points_are_an_empty_sequence():
    encoded = codec().encode(np.zeros((1, 0, 2)))
    assert encoded["points_valid"].sum() == 0
    assert codec().decode(np.zeros((1, 0, 2)))[0].shape == (1, 0, 2)


def test_mmposes_transforms_hand_it_to_the_head():
    results = dict(
        img=np.zeros((32, 64, 3), np.uint8),
        keypoints=POINTS,
        transformed_keypoints=POINTS,
        keypoints_visible=np.ones((1, 4)),
        bbox=np.array([[0.0, 0, 63, 31]]),
        bbox_score=np.ones(1),
    )
    options = dict(type="PointSequence", input_size=SIZE, max_points=6)
    labels = FastPackPoseInputs()(GenerateTarget(encoder=options)(results))[
        "data_samples"
    ].gt_instance_labels
    assert labels.points.shape == (1, 6, 2)
    assert labels.points_valid.tolist() == [[1, 1, 1, 1, 0, 0]]
    assert "keypoint_weights" in labels  # by which the estimator knows that there are targets


def test_wrong_options_and_several_instances_are_refused():
    with pytest.raises(ValueError, match="reading, random, given"):
        codec("size")
    with pytest.raises(ValueError, match="max_points"):
        codec(most=0)
    with pytest.raises(ValueError, match="expected one instance"):
        codec().encode(np.zeros((2, 3, 2)))
