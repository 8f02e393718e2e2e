from __future__ import annotations

import json

import numpy as np
import pytest

from equikpt.data_tools.project.labels import (
    LONE_PX,
    MAX_SHIFT,
    check_labels,
    data_facts,
    poses,
    widen_lone_boxes,
)
from equikpt.metainfo import coco17


def content(*boxes_of_images) -> dict[str, dict]:
    """One part; an image for each list of boxes, whose one labelled point is in the middle."""
    images, rows = [], []
    for number, boxes in enumerate(boxes_of_images, 1):
        images.append(dict(id=number, file_name=f"{number}.png", width=200, height=100))
        for x, y, width, height in boxes:
            point = [x + width / 2, y + height / 2, 2]
            rows.append(
                dict(id=len(rows) + 1, image_id=number, category_id=1, bbox=[x, y, width, height],
                     area=1, iscrowd=0, num_keypoints=1, keypoints=point)
            )  # fmt: skip
    return {"train": dict(images=images, annotations=rows,
                          categories=[dict(id=1, name="cell", keypoints=["centre"])])}  # fmt: skip


def boxes(contents: dict[str, dict]) -> list[list[float]]:
    return [row["bbox"] for row in contents["train"]["annotations"]]


def test_a_lone_point_is_on_the_whole_image():
    contents = content([(50, 50, 2, 2)], [(9, 9, 2, 2)])
    assert "whole image" in widen_lone_boxes(contents)
    assert boxes(contents) == [[0, 0, 200, 100]] * 2


def test_lone_points_side_by_side_get_their_distance():
    contents = content([(50, 50, 2, 2), (90, 50, 2, 2)], [(100, 40, 2, 2), (140, 40, 2, 2)])
    before = poses(contents)[:, 0, :2]
    assert "40 px" in widen_lone_boxes(contents)
    found = np.array(boxes(contents))
    assert (found[:, 2:] == 40).all()
    off = np.abs(found[:, :2] + found[:, 2:] / 2 - before)
    assert (off <= MAX_SHIFT * 40 + 1e-3).all()
    assert off.min() > 0  # the middle of the box tells nothing of the point


def test_a_lone_point_gets_a_box_as_large_as_the_others():
    contents = content([(20, 20, 60, 40), (150, 60, 2, 2)])
    widen_lone_boxes(contents)
    assert boxes(contents)[0] == [20, 20, 60, 40]
    assert max(boxes(contents)[1][2:]) > LONE_PX
    x, y, width, height = boxes(contents)[1]
    assert x + width <= 200
    assert y + height <= 100


def test_boxes_that_show_something_stay():
    contents = content([(20, 20, 60, 40)])
    assert widen_lone_boxes(contents) == ""
    assert boxes(contents) == [[20, 20, 60, 40]]


def test_facts_are_of_labelled_animals():
    contents = content([(0, 0, 40, 20), (0, 0, 80, 20)], [(0, 0, 60, 30)])
    contents["train"]["annotations"].append(
        {**contents["train"]["annotations"][0], "keypoints": [0, 0, 0], "num_keypoints": 0}
    )
    facts = data_facts(contents)
    assert facts.instances == {"train": 3}
    assert facts.keypoints == 1
    assert (facts.box_px, facts.box_aspect) == (60, 2)
    contents["train"]["annotations"] = []
    with pytest.raises(ValueError, match="train"):
        data_facts(contents)


def test_a_damaged_image_stops_and_a_warning_does_not(make, tmp_path):
    make()
    root = tmp_path / "cat/data"
    assert isinstance(check_labels(root), list)
    image = next((root / "images/val").iterdir())
    image.write_bytes(image.read_bytes()[:200])
    with pytest.raises(ValueError, match=image.name):
        check_labels(root)


def test_labels_keep_their_own_order_of_keypoints(make, export, tmp_path):
    """COCO's names in another order are no mistake in a set of one's own."""
    path = export / "labels.json"
    labels = json.loads(path.read_text())
    names = [point.name for point in coco17.KEYPOINTS][::-1]
    labels["categories"][0] |= dict(keypoints=names, skeleton=[])
    for row in labels["annotations"]:
        points = [[10 + 2 * n, 14 + n % 5, 2] for n in range(17)]
        row |= dict(keypoints=[value for point in points for value in point], num_keypoints=17)
    path.write_text(json.dumps(labels))
    assert "another order" not in "".join(make())
