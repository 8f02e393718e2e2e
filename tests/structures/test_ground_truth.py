import json
from pathlib import Path

import numpy as np
import pytest

from equikpt.core.issues import IssueError
from equikpt.structures.ground_truth import Labels

NAMES = ("nose", "l_eye")


@pytest.fixture
def write(tmp_path):
    """``write(*file names)``: an annotation file, one row an image."""

    def make(*names: str) -> Path:
        images = [dict(id=i, file_name=name, width=100, height=50) for i, name in enumerate(names)]
        annotations = [
            dict(
                **dict(id=i, image_id=i, category_id=1, bbox=[-5.0 + i, 10, 30, 60]),
                keypoints=[i, 20, 2, 0, 0, 0],
            )
            for i in range(len(names))
        ]
        categories = [dict(id=1, name="horse", keypoints=list(NAMES))]
        content = dict(images=images, annotations=annotations, categories=categories)
        (tmp_path / "labels.json").write_text(json.dumps(content))
        return tmp_path / "labels.json"

    return make


def test_labels_of_an_image_by_its_name(write):
    labels = Labels(write("a.jpg", "b.jpg"), NAMES)
    gt = labels.of(Path("anywhere/b.jpg"))
    assert gt.boxes.tolist() == [[0, 10, 26, 49]]  # clipped as MMPose clips
    assert gt.keypoints.tolist() == [[[1, 20], [0, 0]]]
    assert gt.visibility.tolist() == [[2, 0]]


def test_images_of_one_name_are_found_by_their_folders(write):
    labels = Labels(write("day1/a.jpg", "day2/a.jpg"), NAMES)
    assert labels.of(Path("data/day2/a.jpg")).keypoints[0, 0, 0] == 1
    with pytest.raises(ValueError, match=r"labels\.json"):
        labels.of(Path("data/day3/a.jpg"))


def test_crowds_and_rows_without_a_box_are_left_out(write):
    path = write("a.jpg")
    content = json.loads(path.read_text())
    (row,) = content["annotations"]
    content["annotations"] += [
        row | dict(id=7, iscrowd=1),
        dict(id=8, image_id=0, category_id=1, bbox=None),
        dict(id=9, image_id=0, category_id=1, bbox=[200, 0, 10, 10]),  # outside
        dict(id=10, image_id=0, category_id=1, bbox=[0, 0, 10, 10]),
    ]
    path.write_text(json.dumps(content))
    gt = Labels(path, NAMES).of(Path("a.jpg"))
    assert gt.boxes.tolist() == [[0, 10, 25, 49], [0, 0, 10, 10]]
    np.testing.assert_array_equal(gt.visibility, [[2, 0], [0, 0]])


def test_other_keypoints_than_the_model_s_are_refused(write):
    path = write("a.jpg")
    for names, code in (((*NAMES, "r_eye"), "keypoint_count"), (NAMES[::-1], "keypoint_order")):
        with pytest.raises(IssueError, match=r"labels\.json") as caught:
            Labels(path, names)
        assert {issue.code for issue in caught.value.issues} == {code}
