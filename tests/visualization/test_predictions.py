from dataclasses import replace

import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from equikpt.datasets import PointSequenceDataset
from equikpt.metainfo.horse26 import METAINFO
from equikpt.structures import Instance
from equikpt.structures.ground_truth import Gt
from equikpt.visualization.pose import TARGET_BGR
from equikpt.visualization.predictions import (
    Look,
    draw,
    draw_bands,
    draw_errors,
    draw_heat,
    draw_names,
)
from equikpt_runtime.drawing import ERROR_BGR, draw_label
from equikpt_runtime.instance import Maps

IMAGE = np.full((240, 320, 3), 60, np.uint8)
LF_HOOF, RF_HOOF = 16, 17


@pytest.fixture(scope="module")
def metainfo() -> dict:
    return parse_pose_metainfo(METAINFO)


def instance(x: float, y: float, scores: dict[int, float]) -> Instance:
    """All keypoints at (x, y), those without a score entirely uncertain."""
    all_scores = np.zeros(26)
    all_scores[list(scores)] = list(scores.values())
    box = np.array([x - 40, y - 40, x + 40, y + 40])
    return Instance(np.full((26, 2), (x, y), float), all_scores, box)


def has(drawn: np.ndarray, colour, near: tuple[int, int], reach: int = 12) -> bool:
    """Tell if there is nearly a BGR colour around an (x, y)."""
    x, y = near
    part = drawn[max(y - reach, 0) : y + reach, max(x - reach, 0) : x + reach].astype(int)
    return bool((np.abs(part - colour).max(axis=-1) < 40).any())


def test_several_animals_and_scores_of_three_kinds(metainfo):
    green = (0, 255, 0)
    scores = {60: 0.9, 160: 0.2, 260: 0.05}
    found = [instance(x, 60, {LF_HOOF: score}) for x, score in scores.items()]
    drawn = draw(IMAGE, found, metainfo, Look())
    named = draw(IMAGE, found[:1], metainfo, Look(names=True)) != draw(
        IMAGE, found[:1], metainfo, Look()
    )
    assert named.any(axis=-1).sum() > 50
    assert not named[:, :60].any()  # to the right of the point
    assert drawn[60, 60].tolist() == list(green)  # certain: filled
    assert drawn[60, 160].tolist() == [60, 60, 60]  # uncertain: hollow
    assert has(drawn, green, (160, 60))
    assert not has(drawn, green, (260, 60))  # below the least score: left out
    assert (IMAGE == 60).all()


def test_tracks_and_a_detector_s_boxes_are_labelled(metainfo):
    found = instance(160, 120, {})
    for nothing in ([], [found]):
        drawn = draw(IMAGE, nothing, metainfo, Look(names=True))
        assert drawn is not IMAGE
        assert (drawn == IMAGE).all()
    for labelled in (replace(found, track=1), replace(found, box_score=0.8)):
        drawn = draw(IMAGE, [labelled], metainfo, Look())
        assert (drawn[120, 120] != 60).any()  # the box's left side


@pytest.fixture
def gt() -> Gt:
    keypoints = np.zeros((2, 26, 2))
    visibility = np.zeros((2, 26))
    keypoints[0, LF_HOOF], visibility[0, LF_HOOF] = (60, 180), 2
    keypoints[1, RF_HOOF], visibility[1, RF_HOOF] = (260, 180), 2
    boxes = np.array([[20, 20, 100, 200], [220, 20, 300, 200]])
    return Gt(boxes, keypoints, visibility)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_errors_join_those_whose_boxes_overlap(metainfo, gt, order):
    found = [instance(60, 100, {LF_HOOF: 0.9}), instance(260, 100, {RF_HOOF: 0.9})]
    drawn = draw(IMAGE, [found[i] for i in order], metainfo, Look(gt="over"), gt)
    for x in (60, 260):
        assert has(drawn, ERROR_BGR, (x, 155), reach=3)
        assert has(drawn, TARGET_BGR, (x, 180))
    assert not has(drawn, ERROR_BGR, (160, 140), reach=40)


def test_peaks_that_are_no_animal_are_joined_to_none(metainfo, gt):
    peak = instance(60, 100, {LF_HOOF: 0.9})
    peak.keypoints[np.arange(26) != LF_HOOF] = np.nan
    drawn = draw(IMAGE, [peak], metainfo, Look(gt="over"), gt)
    for x in (60, 260):  # and the other animal was not found
        assert has(drawn, TARGET_BGR, (x, 180))
        assert not has(drawn, ERROR_BGR, (x, 150), reach=20)


def test_the_gt_beside_is_a_second_image_to_the_left(metainfo, gt):
    found = [instance(60, 100, {LF_HOOF: 0.9})]
    over = draw(IMAGE, found, metainfo, Look(gt="over"), gt)
    beside = draw(IMAGE, found, metainfo, Look(gt="beside"), gt)
    assert beside.shape == (240, 640, 3)
    np.testing.assert_array_equal(beside[:, 320:], over)
    assert has(beside[:, :320], (0, 255, 0), (60, 180))
    assert not has(beside[:, :320], ERROR_BGR, (60, 140), reach=30)


def test_maps_are_drawn_once_for_all_that_share_them(metainfo):
    heat = np.zeros((26, 4, 4), np.float32)
    heat[3, 1, 1] = 1
    maps = Maps(heat, np.array([[20.0, 0, 100], [0, 20, 100]]))
    found = replace(instance(0, 0, {}), maps=maps)
    once, twice = (draw(IMAGE, [found] * n, metainfo, Look(overlay="heatmap")) for n in (1, 2))
    assert (once[120, 120] != 60).any()
    np.testing.assert_array_equal(once, twice)
    with pytest.raises(ValueError, match="SimCC"):
        draw(IMAGE, [found], metainfo, Look(overlay="simcc"))
    with pytest.raises(ValueError, match="maps=True"):
        draw(IMAGE, [replace(found, maps=None)], metainfo, Look(overlay="heatmap"))


def test_simcc_has_bands_at_the_edges(metainfo):
    along = np.zeros((26, 40))
    along[3, 20] = 1
    maps = Maps(
        along[:, :, None] * along[:, None], np.array([[8.0, 0, 0], [0, 6, 0]]), along, along
    )
    found = replace(instance(0, 0, {}), maps=maps)
    drawn = draw(IMAGE, [found], metainfo, Look(overlay="simcc"))
    assert (drawn[:10, 200] != 60).any()
    assert (drawn[200, :10] != 60).any()
    assert (drawn[200, 250] == 60).all()


def test_unnamed_points_are_numbered_whatever_their_scores():
    points = PointSequenceDataset._load_metainfo()
    found = Instance(np.array([[100.0, 100], [200, 100]]), np.array([0.9, 0.0]), np.zeros(4))
    drawn = draw(IMAGE, [found], points, Look(names=True))
    assert (drawn[100, 100] != 60).any()
    assert (drawn[90:110, 190:210] != 60).any()


@pytest.mark.parametrize(
    "options", [dict(threshold=0.05), dict(threshold=2), dict(gt="under"), dict(overlay="x")]
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match="expected"):
        Look(**options)


GRAY = np.full((200, 300, 3), 60, np.uint8)


def changed(drawn: np.ndarray) -> np.ndarray:
    """(H, W) bool."""
    return (drawn != GRAY).any(axis=-1)


def inked(drawn: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """(H, W) bool: where it is nearly of a colour; edges are smooth."""
    return np.abs(drawn.astype(int) - colour).max(axis=-1) < 40


@pytest.fixture(autouse=True)
def _images_stay_as_they_are():
    yield
    assert (GRAY == 60).all()


def test_names_stand_beside_their_points_on_the_outer_side():
    drawn = draw_names(GRAY, np.array([[100.0, 50], [200, 150], [np.nan, 0]]), ["a", "b", "c"])
    rows, columns = np.nonzero(changed(drawn))
    left, right = columns[rows < 100], columns[rows >= 100]
    assert (left.min(), left.max()) > (80, 80)
    assert left.max() < 100
    assert right.min() > 200
    assert (draw_names(GRAY, np.full((1, 2), np.nan), ["a"]) == GRAY).all()


def test_names_stay_inside_and_apart():
    """Three names at one point take three times the height of one."""
    coords = np.array([[200.0, 100], [200, 101], [200, 102]])
    alone = np.ptp(np.nonzero(changed(draw_names(GRAY, coords[:1], ["withers"])))[0])
    together = np.ptp(np.nonzero(changed(draw_names(GRAY, coords, ["withers"] * 3)))[0])
    assert together > 2.5 * alone
    drawn = draw_names(GRAY, np.array([[295.0, 100], [3, 100]]), ["a_long_name", "another_one"])
    assert changed(drawn)[:, :60].any()
    assert changed(drawn)[:, 240:].any()


def test_errors_are_lines_from_the_gt_with_their_length():
    gt = np.array([[50.0, 100], [250, 100], [150, 20]])
    predicted = np.array([[90.0, 100], [250, 101], [150, 180]])
    drawn = draw_errors(GRAY, predicted, gt, np.array([True, True, False]))
    errors = inked(drawn, ERROR_BGR)
    assert errors[100, 60:68].all()
    assert errors[80:99, 60:100].any()  # its number
    assert not errors[80:99, 230:270].any()  # 1 px: none
    assert inked(drawn, TARGET_BGR)[95:106, 240:261].any()
    assert not changed(drawn)[:, 130:170].any()  # not labelled
    drawn = draw_errors(GRAY, np.full((1, 2), np.nan), np.array([[50.0, 100]]), np.array([True]))
    assert inked(drawn, TARGET_BGR).any()
    assert not inked(drawn, ERROR_BGR).any()


def test_heat_lies_where_its_cells_do():
    heat = np.zeros((2, 4, 6), np.float32)
    heat[1, 2, 3] = 0.2  # weak, and still the strongest
    drawn = draw_heat(GRAY, heat, np.array([[20.0, 0, 100], [0, 20, 40]]))
    rows, columns = np.nonzero(changed(drawn))
    assert abs(rows.mean() - 80) < 1
    assert abs(columns.mean() - 160) < 1
    assert np.ptp(columns) <= 40
    assert np.abs(drawn[80, 160].astype(int) - 60).max() > 80
    assert (draw_heat(GRAY, 0 * heat, np.eye(2, 3)) == GRAY).all()


def test_bands_show_each_keypoint_along_both_axes():
    """A green point at cell 60 of x and 20 of y, in cells of 2 px that begin at (40, 10)."""
    along_x, along_y = np.zeros((2, 100)), np.zeros((2, 80))
    along_x[1, 60], along_y[1, 20] = 0.5, 0.5
    to_image = np.array([[2.0, 0, 40], [0, 2, 10]])
    colours = np.array([[255, 0, 0], [0, 255, 0]])
    drawn = draw_bands(GRAY, along_x, along_y, to_image, colours).astype(int)
    above_right = drawn[:40, 40:, 1] - drawn[:40, 40:, 2]
    assert abs(np.nonzero(above_right > 100)[1].mean() + 40 - 160) < 1
    assert np.nonzero(above_right > 100)[0].min() == 20  # the second of two stripes of 20 px
    below_left = drawn[40:, :40, 1] - drawn[40:, :40, 2]
    assert abs(np.nonzero(below_left > 100)[0].mean() + 40 - 50) < 1
    assert (drawn[40:, 40:] == 60).all()


def test_labels_differ_by_the_animal():
    box = np.array([20, 30, 120, 150])
    first, second = (draw_label(GRAY, box, f"#{number}", number) for number in (1, 2))
    assert tuple(first[90, 20]) != tuple(second[90, 20])
    assert changed(first)[90, 20]
    assert changed(first)[33, 23]
    assert not changed(first)[90, 60]


def test_a_point_that_is_not_in_the_image_is_left_out_and_a_hidden_one_hollow(metainfo):
    plain = instance(160, 120, {LF_HOOF: 0.9})
    everywhere = np.ones(26)
    absent = replace(plain, presence=0.1 * everywhere, seen=everywhere)
    hidden = replace(plain, presence=everywhere, seen=0.1 * everywhere)
    look = Look()
    seen = draw(IMAGE, [plain], metainfo, look)
    assert np.array_equal(draw(IMAGE, [absent], metainfo, look), IMAGE)
    assert np.array_equal(seen[120, 160], (0, 255, 0))
    assert np.array_equal(draw(IMAGE, [hidden], metainfo, look)[120, 160], IMAGE[0, 0])


def test_rings_have_the_radius(metainfo):
    found = replace(instance(160, 120, {LF_HOOF: 0.9}), radius=np.full(26, 40.0))
    rings = draw(IMAGE, [found], metainfo, Look(radius=True))
    assert rings[120, 200].min() > 150  # to the right by 40 px
    assert np.array_equal(draw(IMAGE, [found], metainfo, Look())[120, 200], IMAGE[0, 0])
    endless = replace(found, radius=np.full(26, np.inf))
    assert np.array_equal(
        draw(IMAGE, [endless], metainfo, Look(radius=True)), draw(IMAGE, [found], metainfo, Look())
    )


@pytest.mark.parametrize("box", [[20, 30, 120, 150], [185, 30, 199, 150]], ids=["left", "right"])
def test_a_long_label_stays_in_the_image(box):
    """It begins further left, or is smaller: its end is background, its beginning drawn."""
    text = "unlike the training images (score 3.20, limit 1.40)"
    drawn = changed(draw_label(GRAY, np.array(box), text))
    columns = np.flatnonzero(drawn[31:36].all(axis=0))
    assert len(columns) > 150
    assert columns.max() < GRAY.shape[1]


def test_a_refused_instance_has_a_note_and_no_points(metainfo):
    found = replace(instance(160, 120, {}), keypoints=np.full((26, 2), np.nan))
    assert (draw(IMAGE, [found], metainfo, Look()) == IMAGE).all()
    drawn = draw(IMAGE, [replace(found, refused="unlike")], metainfo, Look())
    assert (drawn[82, 122] != 60).any()
