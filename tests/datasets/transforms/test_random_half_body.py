from __future__ import annotations

import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.datasets.transforms import RandomHalfBody

from equikpt.datasets.transforms import RandomHalfBodyCrop
from equikpt.metainfo.horse26 import METAINFO

META = parse_pose_metainfo(METAINFO)
FRONT, HIND = META["upper_body_ids"], META["lower_body_ids"]

# A horse from the side, head to the left, in px; order of METAINFO
HORSE = np.array(
    [
        [12, 70], [22, 45], [24, 46], [30, 25], [34, 24], [70, 50], [120, 60], [170, 68],
        [235, 62], [262, 130], [105, 130], [112, 132], [102, 175], [118, 178], [100, 210],
        [122, 212], [98, 226], [120, 228], [228, 110], [222, 112], [245, 170], [230, 172],
        [240, 208], [226, 210], [236, 228], [222, 229],
    ],
    dtype=np.float32,
)  # fmt: skip


def sample(visible: np.ndarray | None = None) -> dict:
    low, high = HORSE.min(axis=0), HORSE.max(axis=0)
    return dict(
        keypoints=HORSE[None].copy(),
        keypoints_visible=np.ones((1, 26), np.float32) if visible is None else visible[None],
        upper_body_ids=FRONT,
        lower_body_ids=HIND,
        bbox_center=((low + high) / 2)[None],
        bbox_scale=(1.25 * (high - low))[None],
    )


def crop(results: dict, n: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper corner of the box."""
    half = results["bbox_scale"][n] / 2
    return results["bbox_center"][n] - half, results["bbox_center"][n] + half


def held(results: dict, rows: list[int]) -> np.ndarray:
    low, high = crop(results)
    points = results["keypoints"][0, rows]
    return ((points >= low) & (points <= high)).all(axis=1)


def visible_rows(rows: list[int]) -> np.ndarray:
    visible = np.zeros(26, np.float32)
    visible[rows] = 1
    return visible


def test_halves_of_the_metainfo_are_front_and_hind():
    front = {META["keypoint_id2name"][row] for row in FRONT}
    hind = {META["keypoint_id2name"][row] for row in HIND}
    assert {"nose", "withers", "l_knee", "rf_hoof"} <= front
    assert {"tail_base", "r_hip", "l_hock", "rh_hoof"} <= hind
    assert len(front) + len(hind) == 26


@pytest.mark.parametrize(("front_prob", "half"), [(1.0, FRONT), (0.0, HIND)], ids=["front", "hind"])
def test_a_crop_holds_its_half_and_not_the_whole_horse(front_prob, half):
    out = RandomHalfBodyCrop(prob=1.0, front_prob=front_prob)(sample())
    assert held(out, half).all()
    assert not held(out, FRONT + HIND).all()
    assert np.prod(out["bbox_scale"]) < 0.9 * np.prod(sample()["bbox_scale"])


def test_padding_leaves_a_margin_around_the_half():
    out = RandomHalfBodyCrop(prob=1.0, front_prob=0.0, padding=1.4)(sample())
    points = HORSE[HIND]
    assert np.allclose(out["bbox_scale"][0], 1.4 * (points.max(axis=0) - points.min(axis=0)))
    assert np.allclose(out["bbox_center"][0], (points.max(axis=0) + points.min(axis=0)) / 2)


def test_the_stock_crop_cuts_off_its_half():
    """The control: its centre is the mean of the points, so a far point falls out."""
    rows = [0, 1, 2, 3, 4, 5, 16, *HIND]  # one hoof below a head
    np.random.seed(0)  # noqa: NPY002 - the state that MMEngine seeds
    stock = RandomHalfBody(prob=1.0, upper_prioritized_prob=1.0, padding=1.25)
    ours = RandomHalfBodyCrop(prob=1.0, front_prob=1.0, padding=1.25)
    assert not held(stock(sample(visible_rows(rows))), rows[:7]).all()
    assert held(ours(sample(visible_rows(rows))), rows[:7]).all()


@pytest.mark.parametrize(
    ("rows", "half"),
    [(FRONT + HIND[:3], FRONT), (HIND + FRONT[:3], HIND), (FRONT[:3] + HIND[:3], None)],
    ids=["hind-unlabelled", "front-unlabelled", "few-points"],
)
def test_a_half_with_too_few_points_is_not_chosen(rows, half):
    transform = RandomHalfBodyCrop(min_total_keypoints=6, min_half_keypoints=4, prob=1.0)
    before = sample(visible_rows(rows))
    for _ in range(10):
        out = transform(dict(before))
        if half is None:
            assert np.array_equal(out["bbox_scale"], before["bbox_scale"])
        else:
            assert held(out, [row for row in half if row in rows]).all()
            assert not held(out, rows).all()


def test_points_in_one_spot_still_give_a_crop_of_some_size():
    before = sample()
    before["keypoints"][0, FRONT] = 50
    out = RandomHalfBodyCrop(prob=1.0, front_prob=1.0, min_size=0.3)(dict(before))
    assert np.allclose(out["bbox_scale"], 0.3 * before["bbox_scale"])


def test_how_often_and_which_half():
    np.random.seed(1)  # noqa: NPY002 - the state that MMEngine seeds
    transform = RandomHalfBodyCrop(prob=0.3)
    center_x = sample()["bbox_center"][0, 0]
    moved = np.array([transform(sample())["bbox_center"][0, 0] - center_x for _ in range(600)])
    assert 0.24 < np.mean(moved != 0) < 0.36
    assert 0.38 < np.mean(moved[moved != 0] < 0) < 0.62  # the head is on the left


def test_labels_stay_as_they_were():
    before = sample()
    out = RandomHalfBodyCrop(prob=1.0)(dict(before))
    assert out["keypoints"] is before["keypoints"]
    assert out["keypoints_visible"] is before["keypoints_visible"]


@pytest.mark.parametrize(
    "arguments",
    [dict(prob=1.2), dict(front_prob=-0.1), dict(padding=0.9), dict(min_size=2)],
    ids=lambda value: next(iter(value)),
)
def test_arguments_out_of_range_are_refused_by_name(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        RandomHalfBodyCrop(**arguments)
