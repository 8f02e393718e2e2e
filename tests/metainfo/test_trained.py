from __future__ import annotations

import numpy as np
import pytest

from equikpt.metainfo.trained import (
    record_trained,
    recorded_in,
    trained_keypoints,
    untrained_names,
)

NAMES = dict(enumerate(("nose", "l_ear", "r_ear")))


@pytest.fixture
def metainfo():
    return dict(sigmas=np.full(3, 0.05), keypoint_id2name=NAMES)


def test_what_is_recorded_is_read(metainfo):
    record_trained(metainfo, np.array([True, False, True]))
    assert metainfo["trained_keypoints"] == [True, False, True]  # no array: any file can hold it
    assert trained_keypoints(metainfo).tolist() == [True, False, True]
    assert untrained_names(metainfo) == ["l_ear"]


def test_without_a_record_all_are_trained(metainfo):
    assert trained_keypoints(metainfo).tolist() == [True] * 3
    assert untrained_names(metainfo) == []


def test_all_trained_leaves_no_record(metainfo):
    record_trained(metainfo, np.array([True, False, True]))
    record_trained(metainfo, np.ones(3, bool))
    assert "trained_keypoints" not in metainfo


def test_a_record_of_another_set_is_not_taken(metainfo):
    record_trained(metainfo, np.array([True, False]))
    assert "trained_keypoints" not in metainfo


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({"dataset_meta": {"trained_keypoints": [True, False, True]}}, [True, False, True]),
        ({"dataset_meta": {"trained_keypoints": [True, False]}}, [True] * 3),
        ({"dataset_meta": {"trained_keypoints": [False] * 3}}, [True] * 3),
        ({"dataset_meta": {}}, [True] * 3),
        ({"dataset_meta": None}, [True] * 3),
        (None, [True] * 3),
    ],
    ids=["a record", "of another set", "of none", "old", "no metainfo", "no meta"],
)
def test_the_record_of_a_checkpoint(meta, expected):
    assert recorded_in({"state_dict": {}, "meta": meta}, 3).tolist() == expected
    assert recorded_in({}, 3).all()
