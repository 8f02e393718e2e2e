import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from equikpt.datasets import PointSequenceDataset
from equikpt.metainfo.horse26 import METAINFO
from equikpt.visualization.pose import PREDICTION_BGR, TARGET_BGR, contact_sheet, draw_step
from equikpt_runtime.drawing import ERROR_BGR, draw_instance, draw_pose, draw_sequence


@pytest.fixture(scope="module")
def metainfo() -> dict:
    return parse_pose_metainfo(METAINFO)


@pytest.fixture
def keypoints() -> np.ndarray:
    return np.random.default_rng(0).uniform(30, 270, (26, 2))


def only(index: int, value: float, rest: float = 0) -> np.ndarray:
    values = np.full(26, rest)
    values[index] = value
    return values


def test_a_seen_point_is_filled_with_its_colour(metainfo, keypoints):
    drawn = draw_pose(np.zeros((300, 300, 3), np.uint8), keypoints, metainfo, only(14, 2))
    x, y = keypoints[14].round().astype(int)
    assert drawn[y, x].tolist() == metainfo["keypoint_colors"][14].tolist()[::-1]


@pytest.mark.parametrize("case", ["hidden", "uncertain"])
def test_a_hidden_or_uncertain_point_is_hollow(metainfo, keypoints, case):
    visibility = only(14, 1 if case == "hidden" else 2)
    scores = only(14, 0.1 if case == "uncertain" else 0.9)
    image = np.zeros((300, 300, 3), np.uint8)
    drawn = draw_pose(image, keypoints, metainfo, visibility, scores)
    x, y = keypoints[14].round().astype(int)
    assert drawn[y, x].max() == 0  # the centre stays as it was
    assert drawn.max() > 0  # the ring does not


def test_unlabelled_and_infinite_points_are_left_out(metainfo, keypoints):
    keypoints[0] = np.nan
    drawn = draw_pose(np.zeros((300, 300, 3), np.uint8), keypoints, metainfo, only(0, 2))
    assert drawn.max() == 0


def test_refuses_another_number_of_keypoints(metainfo):
    with pytest.raises(ValueError, match="horse26"):
        draw_pose(np.zeros((9, 9, 3), np.uint8), np.zeros((17, 2)), metainfo)


def test_contact_sheet_lays_out_in_rows():
    wide, tall = np.full((50, 100, 3), 255, np.uint8), np.full((100, 50, 3), 255, np.uint8)
    sheet = contact_sheet([wide, tall, wide], columns=2, cell_px=(40, 40))
    assert sheet.shape == (80, 80, 3)
    assert (sheet[15:25, 5:35] == 255).all()  # wide: 40 × 20 in the middle of its cell
    assert (sheet[5:35, 55:65] == 255).all()  # tall: 20 × 40
    assert (sheet[40:, 40:] == 32).all()  # no fourth image
    flat = contact_sheet([wide, tall], columns=1, cell_px=(40, 20))
    assert flat.shape == (40, 40, 3)
    assert (flat[:20] == 255).all()  # wide fills its cell
    assert (flat[20:, 15:25] == 255).all()  # tall: 10 × 20


def test_a_long_caption_ends_in_its_own_cell():
    image = np.full((40, 40, 3), 255, np.uint8)
    sheet = contact_sheet([image] * 2, captions=["a_very_long_name" * 9, ""], cell_px=(90, 40))
    caption = sheet[40:]
    assert (caption[:, :90] > 100).any()
    assert (caption[:, 90:] == 32).all()


def test_contact_sheet_refuses():
    with pytest.raises(ValueError, match="at least one image"):
        contact_sheet([])
    with pytest.raises(ValueError, match="expected 1 captions"):
        contact_sheet([np.zeros((9, 9, 3), np.uint8)], captions=["a", "b"])


def test_unnamed_points_are_drawn_with_their_numbers():
    image = np.full((120, 120, 3), 60, np.uint8)
    points = np.array([[30.0, 40.0], [80.0, 90.0], [60.0, 20.0]])
    metainfo = PointSequenceDataset._load_metainfo()
    drawn = draw_instance(image, points, metainfo, visibility=np.array([2, 2, 0]))
    changed = (drawn != image).any(axis=-1)
    assert changed[40, 30]
    assert changed[90, 80]
    assert not changed[15:25, 55:65].any()
    np.testing.assert_array_equal(drawn, draw_sequence(image, points[:2]))
    scores = np.array([0.9, 0.2, 0.8])
    some = draw_instance(image, points, metainfo, np.array([0, 2, 2]), scores)
    np.testing.assert_array_equal(some, draw_sequence(image, points[1:], scores[1:]))
    assert image.max() == 60  # the image itself is as it was


def test_a_step_shows_target_prediction_and_error_on_the_right_alone():
    image = np.full((120, 120, 3), 60, np.uint8)
    drawn = draw_step(image, np.zeros((0, 2)), np.array([30.0, 60]), np.array([90.0, 60]), 0.25)
    assert drawn.shape == (120, 240, 3)
    assert (drawn[:, :120] == 60).all()
    right = drawn[:, 120:]
    for colour in (TARGET_BGR, PREDICTION_BGR, ERROR_BGR):
        assert (right == colour).all(axis=-1).any()
    done = draw_step(image, np.zeros((0, 2)), np.array([30.0, 60]), None, 0.75)[:, 120:]
    assert not (done == ERROR_BGR).all(axis=-1).any()  # nothing to be wrong about
