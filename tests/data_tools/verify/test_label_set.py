from __future__ import annotations

import pytest

from tests.data_tools.verify.conftest import NAMES, codes_of, people


def change(part: str, index: int, **fields):
    return lambda content: content[part][index].update(fields)


CASES = [
    # the check, the change, and the annotation that it names
    pytest.param("field", change("annotations", 2, category_id=None), 3, id="field"),
    pytest.param("repeated_id", change("annotations", 2, id=1), 1, id="repeated id"),
    pytest.param("dangling_reference", change("annotations", 2, image_id=99), 3, id="reference"),
    pytest.param("keypoint_count", change("annotations", 2, keypoints=[1, 1, 2]), 3, id="count"),
    pytest.param(
        "keypoint_value", change("annotations", 2, keypoints=["x", 1, 2] * 17), 3, id="no number"
    ),
    pytest.param(
        "visibility_value", change("annotations", 2, keypoints=[9, 9, 3] * 17), 3, id="visibility"
    ),
    pytest.param("num_keypoints", change("annotations", 2, num_keypoints=4), 3, id="miscounted"),
    pytest.param("no_area", change("annotations", 2, area=None), 3, id="no area"),
    pytest.param("area_not_positive", change("annotations", 2, area=0), 3, id="area 0"),
    pytest.param("box_without_area", change("annotations", 2, bbox=[9, 9, 0, 5]), 3, id="box"),
    pytest.param(
        "point_outside_image",
        change("annotations", 2, keypoints=[301, 9, 2] + [5, 5, 0] * 16, num_keypoints=1),
        3,
        id="outside",
    ),
    pytest.param("repeated_file", change("images", 2, file_name="1.png"), None, id="file"),
    pytest.param(
        "keypoint_order",
        change("categories", 0, keypoints=[NAMES[1], NAMES[0], *NAMES[2:]]),
        None,
        id="order",
    ),
    pytest.param(
        "keypoint_names",
        change("categories", 0, keypoints=["beak", *NAMES[1:]]),
        None,
        id="names",
    ),
]


@pytest.mark.parametrize(("check", "spoil", "annotation"), CASES)
def test_each_mistake_is_found_once_and_named(read, check, spoil, annotation):
    content = people(5)
    spoil(content)
    labels = read(content, metainfo="coco17")
    assert codes_of(labels.structure) == [(check, annotation)]


def test_one_mistake_does_not_hide_another(read):
    """``check_coco`` alone stops at the first of these."""
    content = people(6)
    for spoil in (
        change("annotations", 0, category_id=None),
        change("annotations", 1, image_id=99),
        change("annotations", 2, keypoints=[1, 1, 2]),
        change("annotations", 3, area=0),
    ):
        spoil(content)
    labels = read(content)
    assert [issue.code for issue in labels.structure] == [
        "field",
        "dangling_reference",
        "keypoint_count",
        "area_not_positive",
    ]
    assert [row["id"] for row in labels.rows] == [4, 5, 6]


def test_mistakes_that_are_found_together_are_of_the_right_rows(read):
    """The rows are counted in the file, whatever else goes with them."""
    content = people(8)
    change("annotations", 1, image_id=None)(content)
    change("annotations", 2, id=4)(content)  # which the next one has already
    change("annotations", 5, category_id=None)(content)
    labels = read(content)
    assert codes_of(labels.structure) == [("field", 2), ("field", 6), ("repeated_id", 4)]
    assert [row["id"] for row in labels.rows] == [1, 4, 5, 7, 8]
    assert labels.rows[1] is labels.files[0].content["annotations"][1]


def test_a_lost_image_takes_its_annotations_along_without_a_word(read):
    content = people(4)
    content["images"][1]["width"] = 0
    labels = read(content)
    assert [issue.code for issue in labels.structure] == ["field"]
    assert [row["id"] for row in labels.rows] == [1, 3, 4]


def test_points_outside_the_image_are_named(read):
    content = people(5)
    content["annotations"][2]["keypoints"][3:6] = [301, 9, 1]
    content["annotations"][2]["keypoints"][6:9] = [-1, 9, 0]
    content["annotations"][2]["num_keypoints"] = 16
    (issue,) = read(content).structure
    assert issue.subject.keypoints == (1,)
