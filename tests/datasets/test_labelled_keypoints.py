from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.dataset import ConcatDataset, RepeatDataset

from equikpt.datasets import CheckedCocoDataset, labelled_keypoints
from equikpt.datasets.transforms import RandomFlipKeypoints

FLIP, NEVER = RandomFlipKeypoints(prob=0.5), RandomFlipKeypoints(prob=0.0)


@pytest.fixture
def build(write_coco, make_coco, tiny_metainfo, tmp_path):
    """``build((2, 1, 0), pipeline)``: nose, l_eye and r_eye of this visibility in each sample."""

    def make(visibility, pipeline=()) -> CheckedCocoDataset:
        content = make_coco()
        for annotation in content["annotations"]:
            x, y = annotation["bbox"][:2]
            points = np.array([(x + 4, y + 5, 0), (x + 9, y + 8, 0), (x + 14, y + 11, 0)])
            points[:, 2] = visibility
            annotation["keypoints"] = np.where(points[:, 2:] > 0, points, 0).ravel().tolist()
        files = write_coco(content, root=tmp_path / "".join(map(str, visibility)))
        return CheckedCocoDataset(**files, metainfo=tiny_metainfo, pipeline=pipeline)

    return make


@pytest.mark.parametrize(
    ("visibility", "pipeline", "expected"),
    [
        ((2, 1, 2), [], [True, True, True]),
        ((0, 1, 2), [], [False, True, True]),
        ((2, 1, 0), [], [True, True, False]),
        ((2, 1, 0), [FLIP], [True, True, True]),  # a mirrored left eye is a right one
        ((2, 0, 0), [FLIP], [True, False, False]),
        ((2, 1, 0), [NEVER], [True, True, False]),
    ],
    ids=["all", "no nose", "one side", "one side, flipped", "no side", "never flipped"],
)
def test_labels_of_any_sample_count(build, visibility, pipeline, expected):
    assert labelled_keypoints(build(visibility, pipeline)).tolist() == expected


def test_one_label_among_many_is_enough(write_coco, make_coco, tiny_metainfo):
    content = make_coco()
    for annotation in content["annotations"][:-1]:
        annotation["keypoints"][-3:] = [0, 0, 0]
    dataset = CheckedCocoDataset(**write_coco(content), metainfo=tiny_metainfo)
    assert labelled_keypoints(dataset).tolist() == [False, True, True]  # as make_coco has it


def test_wrappers_have_the_labels_of_what_they_hold(build):
    first, second = build((2, 0, 0)), build((0, 2, 0))
    assert labelled_keypoints(RepeatDataset(first, 3)).tolist() == [True, False, False]
    assert labelled_keypoints(ConcatDataset([first, second])).tolist() == [True, True, False]


def test_labels_of_other_sets_are_not_known(build):
    mixed = SimpleNamespace(
        metainfo=dict(sigmas=[0.05] * 4, flip_indices=range(4)), datasets=[build((2, 2, 0))]
    )
    assert labelled_keypoints(mixed) is None


def test_data_sets_of_another_kind_are_not_known():
    assert labelled_keypoints(SimpleNamespace(metainfo=dict(sigmas=[0.05]))) is None
