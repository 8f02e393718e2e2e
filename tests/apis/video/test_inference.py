from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from equikpt.apis.box_source import box_source
from equikpt.apis.video.clips import Frame
from equikpt.apis.video.inference import predict_frames, track_and_smooth
from equikpt.apis.video.one_euro import OneEuroOptions
from equikpt.apis.video.tracking import TrackOptions
from equikpt.datasets import PointSequenceDataset
from equikpt.metainfo.horse26 import METAINFO
from equikpt.structures import Instance

HORSE = parse_pose_metainfo(METAINFO)
FRAME = np.zeros((20, 30, 3), np.uint8)


class Finder:
    batch_size = 4

    def stream(self, pairs):
        for image, boxes in pairs:
            yield [(int(image[0, 0, 0]), boxes)]


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
