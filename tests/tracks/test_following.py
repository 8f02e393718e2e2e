"""Following animals whose poses are known, by a model that sees what is in its box."""

import numpy as np
import pytest

from equikpt.tracks.following import MAX_LOST_S, Follower
from equikpt_runtime.boxes import box_iou
from equikpt_runtime.clips import Frame
from equikpt_runtime.instance import Instance

FPS = 30.0
SIZE = (480, 640, 3)
SHAPE = np.random.default_rng(0).uniform(-1, 1, (12, 2)) * [50, 35]
SIGMAS = np.full(12, 0.05)


def pose(x, y, scale=1.0):
    return SHAPE * scale + [x, y]


def seen(animals, box):
    """The instance that a model finds in a box: of the animal that fills it best."""
    boxes = [np.array([*each.min(axis=0), *each.max(axis=0)]) for each in animals]
    overlaps = [box_iou(box, each) for each in boxes]
    best = int(np.argmax(overlaps)) if overlaps else -1
    if best < 0 or overlaps[best] < 0.05:
        return Instance(np.zeros((12, 2)), np.full(12, 0.05), box)
    inside = overlaps[best] > 0.3
    return Instance(animals[best], np.full(12, 0.9 if inside else 0.3), box)


def follow(follower, paths, frames=60):
    """Numbers and middles of the animals found in each frame."""
    image, found = np.zeros(SIZE, np.uint8), []
    for number in range(frames):
        time_s = number / FPS
        animals = [each for path in paths if (each := path(time_s)) is not None]
        boxes = follower.boxes(Frame(image, time_s))
        instances = follower.take([seen(animals, box) for box in boxes], time_s)
        found.append({each.track: each.keypoints.mean(axis=0) for each in instances})
    return found


def box_of(points, margin=5):
    return [*(points.min(axis=0) - margin), *(points.max(axis=0) + margin)]


def test_a_box_by_hand_follows_the_animal():
    follower = Follower(SIGMAS, FPS, np.array([box_of(pose(100, 240))]))
    found = follow(follower, [lambda t: pose(100 + 200 * t, 240 + 20 * np.sin(9 * t))])
    assert {tuple(each) for each in found} == {(1,)}
    assert found[-1][1][0] == pytest.approx(100 + 200 * 59 / FPS + SHAPE[:, 0].mean(), abs=1)


def test_a_box_that_stands_loses_it():
    image = np.zeros(SIZE, np.uint8)
    moved = seen([pose(400, 240)], np.array(box_of(pose(100, 240))))
    assert (moved.scores < 0.1).all()
    follower = Follower(SIGMAS, FPS, np.array([box_of(pose(100, 240))]))
    follower.boxes(Frame(image, 0.0))
    assert follower.take([moved], 0.0) == []
    assert follower.lost.unsure == 1


def test_without_boxes_the_whole_image_is_the_first():
    image = np.zeros(SIZE, np.uint8)
    follower = Follower(SIGMAS, FPS)
    np.testing.assert_array_equal(follower.boxes(Frame(image, 0.0)), [[0, 0, 639, 479]])
    (animal,) = follower.take([seen([pose(300, 240, 4)], np.array([0, 0, 639, 479]))], 0.0)
    (box,) = follower.boxes(Frame(image, 1 / FPS))
    assert box_iou(box, np.array(box_of(animal.keypoints))) > 0.6


def test_two_that_cross_keep_their_numbers_and_never_share_a_pose():
    first = [box_of(pose(100, 220)), box_of(pose(540, 250))]
    follower = Follower(SIGMAS, FPS, np.array(first))
    left = lambda t: pose(100 + 220 * t, 220)  # noqa: E731 - a path
    right = lambda t: pose(540 - 220 * t, 250)  # noqa: E731
    found = follow(follower, [left, right])
    assert found[-1][1][0] > found[-1][2][0] + 300
    for each in found:
        middles = [*each.values()]
        assert len(middles) < 2 or np.abs(middles[0] - middles[1]).max() > 5
    assert {*found[-1]} == {1, 2}


def test_two_boxes_upon_one_animal_are_noticed():
    follower = Follower(SIGMAS, FPS)
    box = np.array(box_of(pose(200, 200)))
    twins = [seen([pose(200, 200)], box), seen([pose(200, 200)], box + 8)]
    assert [each.track for each in follower.take(twins, 0.0)] == [1]
    assert follower.lost.merged == 1


def test_a_detector_finds_the_lost_and_the_new():
    def detector(image):
        looks.append(1)
        now = [each for each in animals if each is not None]
        return np.array([[*box_of(each), 0.9] for each in now]).reshape(-1, 5)

    looks, animals = [], []
    follower = Follower(SIGMAS, FPS, detector=detector)

    def first(t):
        where = pose(120, 200) if t < 0.5 else pose(420, 330)  # a cut
        animals[:] = [where]
        return where

    def second(t):
        where = pose(500, 120) if t > 1.2 else None
        animals.append(where)
        return where

    found = follow(follower, [first, second])
    assert {*found[0]} == {1}
    assert len(found[-1]) == 2
    assert np.abs([*found[-1].values()][0] - pose(420, 330).mean(axis=0)).max() < 1
    assert len(looks) < 12


def test_what_left_the_image_is_not_followed():
    follower = Follower(SIGMAS, FPS, np.array([box_of(pose(500, 240))]))
    gone = lambda t: pose(500 + 300 * t, 240) if t < 0.6 else None  # noqa: E731
    found = follow(follower, [gone], frames=45 + round(FPS * MAX_LOST_S))
    assert {*found[3]} == {1}
    assert found[-1] == {}


def test_a_pose_that_is_refused_is_counted_and_left_out():
    follower = Follower(SIGMAS, FPS)
    nothing = Instance(np.full((12, 2), np.nan), np.zeros(12), np.zeros(4), refused="unlike")
    assert follower.take([nothing], 0.0) == []
    assert (follower.lost.refused, follower.lost.unsure) == (1, 0)


def test_a_box_waits_for_a_leg_that_is_unsure_for_a_moment():
    image = np.zeros(SIZE, np.uint8)
    follower = Follower(SIGMAS, FPS)
    points, scores = pose(300, 240), np.full(12, 0.9)
    low = points[:, 1] > 250
    follower.take([Instance(points, scores, np.zeros(4))], 0.0)
    before = follower.boxes(Frame(image, 1 / FPS))[0]
    unsure = np.where(low, 0.1, 0.9)
    follower.take([Instance(points, unsure, np.zeros(4))], 1 / FPS)
    after = follower.boxes(Frame(image, 2 / FPS))[0]
    assert (after[3] - after[1]) > 0.9 * (before[3] - before[1])
