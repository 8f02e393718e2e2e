from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from equikpt.apis.detectors import box_source
from equikpt.datasets import PointSequenceDataset
from equikpt.metainfo.horse26 import METAINFO
from equikpt.structures import Instance
from equikpt_runtime.boxes import hungarian_match
from equikpt_runtime.clips import Frame
from equikpt_runtime.one_euro import OneEuroOptions
from equikpt_runtime.tracking import (
    Tracker,
    TrackOptions,
    instance_oks,
    predict_frames,
    similarities,
    track_and_smooth,
)

SIGMAS = np.full(5, 0.05)
SHAPE = np.array([[-40, -30], [40, -30], [0, 0], [-30, 30], [30, 30]], float)
BOX = np.array([-50, -40, 50, 40], float)


def animal(x: float, y: float, facing: int = 1, sure: bool = True) -> Instance:
    """Around (x, y); ``facing`` −1 is its mirror image, without keypoints if not ``sure``."""
    keypoints = SHAPE * (facing, 1) + (x, y)
    scores = np.full(5, 0.9 if sure else 0.1)
    return Instance(keypoints, scores, BOX + np.tile([x, y], 2))


def tracks_of(
    frames: list[list[Instance]], seed: int = 0, times_s=None, **options
) -> list[list[int | None]]:
    """Numbers that a tracker gives in each frame, whose animals it sees in any order."""
    times_s = np.arange(len(frames)) / 25 if times_s is None else times_s
    tracker, rng = Tracker(SIGMAS, TrackOptions(**options)), np.random.default_rng(seed)
    numbers = []
    for number, frame in enumerate(frames):
        order = rng.permutation(len(frame))
        tracked = tracker([frame[index] for index in order], times_s[number])
        numbers.append([tracked[place].track for place in np.argsort(order)])
    return numbers


@pytest.mark.parametrize("sure", [True, False], ids=["keypoints", "boxes"])
@pytest.mark.parametrize("seed", range(5))
def test_animals_that_cross_keep_their_numbers(sure, seed):
    """They pass through each other at 12 px a frame, where position alone would exchange them."""
    noise = np.random.default_rng(seed).normal(0, 1, (60, 2, 2))
    frames = [
        [
            animal(100 + 12 * t + noise[t, 0, 0], 100 + noise[t, 0, 1], 1, sure),
            animal(820 - 12 * t + noise[t, 1, 0], 104 + noise[t, 1, 1], 1, sure),
        ]
        for t in range(60)
    ]
    numbers = tracks_of(frames, seed)
    assert len({tuple(each) for each in numbers}) == 1
    assert sorted(numbers[0]) == [1, 2]


def test_missed_animals_keep_their_numbers_and_new_ones_get_new():
    frames = [[animal(100 + 8 * t, 100), animal(500, 100)] for t in range(40)]
    for t in range(15, 22):
        frames[t].pop(0)
    numbers = tracks_of(frames)
    assert [each[-1] for each in numbers] == [numbers[0][1]] * 40
    assert {each[0] for each in numbers if len(each) == 2} == {numbers[0][0]}
    gone = tracks_of(frames, max_age=3)
    assert gone[30][0] == 3
    frames = [[animal(100, 100)], [animal(100, 100), animal(600, 300)], [animal(600, 300)]]
    assert tracks_of(frames) == [[1], [1, 2], [2]]
    assert tracks_of([[], [animal(0, 0)], []]) == [[], [1], []]


def test_motion_is_measured_in_time():
    """Two animals cross while no frame was taken: at their speed they have passed each other."""
    times_s = np.array([0, 0.04, 0.08, 0.12, 0.16, 0.56])
    frames = [[animal(100 + 500 * t, 100), animal(380 - 500 * t, 100)] for t in times_s]
    assert tracks_of(frames, times_s=times_s) == [[1, 2]] * 6
    assert tracks_of(frames)[-1] != [1, 2]


def test_similarity_is_cocos_and_that_of_the_boxes():
    """exp(−d² / (2 · area · (2σ)²)) with 0.53 of the box as the area; 1 for equal poses."""
    area = 0.53 * 100 * 80
    similarity = [
        instance_oks(animal(0, 0), animal(x, y), SIGMAS, 0.3) for x, y in ((0, 0), (3, 4))
    ]
    np.testing.assert_allclose(similarity, [1, np.exp(-25 / (2 * area * 0.1**2))])
    # Mirror images in one box: the keypoints alone tell them apart.
    (row,) = similarities([animal(0, 0)], [animal(0, 0), animal(0, 0, facing=-1)], SIGMAS, 0.3)
    assert row[0] == pytest.approx(1)
    assert 0.5 <= row[1] < 0.8
    boxes_alone = similarities([animal(0, 0, sure=False)], [animal(50, 0)], SIGMAS, 0.3)
    np.testing.assert_allclose(boxes_alone, [[1 / 3]])


def test_pairs_have_the_largest_sum_and_none_is_too_low():
    """The first row would like the first column best, but together the others are better."""
    assert hungarian_match(np.array([[0.9, 0.8], [0.7, 0.1]]), 0.05) == [(0, 1), (1, 0)]
    assert hungarian_match(np.array([[0.9, 0.8], [0.7, 0.1]]), 0.75) == [(0, 0)]
    assert hungarian_match(np.zeros((0, 3)), 0.5) == []


def test_options_out_of_range_are_refused():
    for options in (dict(min_similarity=0.0), dict(max_age=-1)):
        with pytest.raises(ValueError, match="min_similarity"):
            TrackOptions(**options)


HORSE = parse_pose_metainfo(METAINFO)
FRAME = np.zeros((20, 30, 3), np.uint8)


class Finder:
    batch_size = 4

    def stream(self, pairs):
        remaining = iter(pairs)
        while chunk := list(islice(remaining, self.batch_size)):
            yield from ([(int(image[0, 0, 0]), boxes)] for image, boxes in chunk)


def test_frames_keep_their_order_and_no_more_than_a_batch_is_held():
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield Frame(np.full((2, 2, 3), len(taken), np.uint8), len(taken) / 25)

    found = predict_frames(endless(), Finder(), box_source([[0, 0, 1, 1]]), Path("clip.mp4"))
    for number in range(1, 7):
        frame, ((seen, boxes),) = next(found)
        assert frame.pixels[0, 0, 0] == seen == number
        assert boxes.tolist() == [[0, 0, 1, 1]]
        assert len(taken) == 4 * ((number + 3) // 4)


def horse(x: float, rng: np.random.Generator) -> Instance:
    keypoints = (x, 100) + np.linspace(-40, 40, 26)[:, None] + rng.normal(0, 2, (26, 2))
    return Instance(keypoints, np.ones(26), np.array([x - 50, 50, x + 50, 150]))


def frames(count: int = 30) -> list:
    rng = np.random.default_rng(0)
    pairs = ([horse(300, rng), horse(100, rng)][:: (-1) ** t] for t in range(count))
    return [(Frame(FRAME, t / 25), pair) for t, pair in enumerate(pairs)]


def test_animals_are_numbered_and_steady():
    raw = frames()
    followed = list(track_and_smooth(raw, HORSE, TrackOptions(), OneEuroOptions(1.0, 0.0)))
    for number, x in ((1, 300), (2, 100)):
        path = [each.keypoints for _, found in followed for each in found if each.track == number]
        assert len(path) == 30
        assert abs(np.mean(path[-1][:, 0]) - x) < 3
        before = [each.keypoints for _, found in raw for each in found if each.box[0] == x - 50]
        assert np.abs(np.diff(path, axis=0)).mean() < 0.4 * np.abs(np.diff(before, axis=0)).mean()


def test_smoothing_and_tracking_can_be_left_out():
    raw = frames(3)
    tracked = list(track_and_smooth(raw, HORSE, TrackOptions(), None))
    np.testing.assert_array_equal(tracked[2][1][0].keypoints, raw[2][1][0].keypoints)
    untouched = list(track_and_smooth(raw, HORSE, None, None))
    assert untouched[0][1][0].track is None


def test_points_without_names_are_nobody():
    metainfo = PointSequenceDataset._load_metainfo()
    found = Instance(np.zeros((7, 2)), np.ones(7), np.zeros(4))
    ((_, (same,)),) = track_and_smooth(
        [(Frame(FRAME, 0.0), [found])], metainfo, TrackOptions(), None
    )
    assert same is found
    for track, info in ((TrackOptions(), metainfo), (None, HORSE)):
        with pytest.raises(ValueError, match="tracked animals of named keypoints for smoothing"):
            next(track_and_smooth([(Frame(FRAME, 0.0), [found])], info, track, OneEuroOptions()))


def test_smoothing_goes_by_the_time_of_each_frame():
    """A longer time between two frames lets the filter follow further."""
    moved = []
    for gap_s in (0.04, 0.4):
        raw = [
            (Frame(FRAME, time_s), [Instance(np.full((26, 2), x), np.ones(26), np.arange(4.0))])
            for time_s, x in ((0.0, 0.0), (gap_s, 1.0))
        ]
        _, (_, (last,)) = track_and_smooth(raw, HORSE, TrackOptions(), OneEuroOptions(1.0, 0.0))
        moved.append(float(last.keypoints[0, 0]))
    alphas = [1 / (1 + 1 / (2 * np.pi * gap_s)) for gap_s in (0.04, 0.4)]  # the paper's, at 1 Hz
    np.testing.assert_allclose(moved, alphas, rtol=1e-5)
