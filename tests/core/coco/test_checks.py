import numpy as np
import pytest

from equikpt.core.coco.checks import check_coco, is_used, visibilities
from equikpt.core.issues import format_issues

NAMES = ("nose", "l_eye", "r_eye")


def test_a_valid_file_has_no_issue(make_coco):
    assert check_coco(make_coco(), NAMES) == []


def change(part: str, index: int, **fields):
    """A change of one row; the value ``...`` removes the field."""

    def apply(content: dict) -> None:
        row = content[part][index]
        row |= fields
        for name in [name for name, value in fields.items() if value is ...]:
            del row[name]

    return apply


def keypoint(index: int, place: int, value):
    def apply(content: dict) -> None:
        content["annotations"][index]["keypoints"][place] = value

    return apply


CASES = [
    # the change, the code, and the row that has it
    (change("images", 1, file_name=...), "field", ("images", 1)),
    (change("images", 0, width=0), "field", ("images", 0)),
    (change("images", 0, id="1"), "field", ("images", 0)),
    (change("annotations", 2, category_id=...), "field", ("annotations", 2)),
    (change("annotations", 2, area="9"), "field", ("annotations", 2)),
    (change("images", 2, id=1), "repeated_id", ("images", 2)),
    (change("annotations", 3, id=1), "repeated_id", ("annotations", 3)),
    (change("annotations", 3, image_id=99), "dangling_reference", ("annotations", 3)),
    (change("annotations", 3, category_id=7), "dangling_reference", ("annotations", 3)),
    (change("annotations", 1, keypoints=[1, 2, 2] * 4), "keypoint_count", ("annotations", 1)),
    (change("annotations", 1, keypoints=[1, 2] * 3), "keypoint_count", ("annotations", 1)),
    *(
        (keypoint(4, 3, value), "keypoint_value", ("annotations", 4))
        for value in ("x", float("nan"), float("inf"), None)
    ),
    (keypoint(0, 5, 3), "visibility_value", ("annotations", 0)),
    (keypoint(0, 5, 0.5), "visibility_value", ("annotations", 0)),
    (
        change("categories", 0, keypoints=["nose", "r_eye", "l_eye"]),
        "keypoint_order",
        ("categories", 0),
    ),
    *(
        (change("annotations", 0, bbox=box), "box_without_area", ("annotations", 0))
        for box in (..., [1, 1, 0, 9], [1, 1, 9, -9], [60, 1, 9, 9], [1, 1, 9])
    ),
    (change("annotations", 5, area=...), "no_area", ("annotations", 5)),
    (change("annotations", 5, area=None), "no_area", ("annotations", 5)),
    *(
        (change("annotations", 5, area=area), "area_not_positive", ("annotations", 5))
        for area in (0, -4.0, float("nan"))
    ),
    (keypoint(0, 3, 48.5), "point_outside_image", ("annotations", 0)),
    (change("images", 2, file_name="001.png"), "repeated_file", ("images", 2)),
]
MAY_BE_RIGHT = ("point_outside_image", "repeated_file")


@pytest.mark.parametrize(("spoil", "code", "row"), CASES)
def test_each_mistake_is_found_with_its_row_and_is_the_only_issue(make_coco, spoil, code, row):
    content = make_coco()
    spoil(content)
    (issue,) = check_coco(content, NAMES)
    part, index = row
    assert (issue.code, issue.subject.part, issue.subject.rows) == (code, part, (index,))
    assert issue.severity == ("warning" if code in MAY_BE_RIGHT else "error")
    assert issue.subject.keypoints == ((1,) if code == "point_outside_image" else ())
    if part == "annotations":
        assert issue.subject.annotation_id == content[part][index]["id"]
        known = {image["id"] for image in content["images"]}
        image_id = content[part][index]["image_id"]
        assert issue.subject.image_id == (image_id if image_id in known else None)
    assert issue.fix


def test_an_issue_says_what_came_and_what_to_do(make_coco):
    """The golden message of the family."""
    content = make_coco()
    change("annotations", 5, area=0)(content)
    change("annotations", 3, area=-1)(content)
    assert format_issues(check_coco(content, NAMES)) == [
        "areas that are not above 0, with which AP would be 0 (annotation 4 has -1, annotation 6 "
        "has 0); correct the areas in px², or set area_from_bbox=0.53 to take that fraction of the "
        "box"
    ]


def test_of_an_id_that_three_rows_share_the_first_is_no_issue(make_coco):
    content = make_coco()
    change("annotations", 3, id=1)(content)
    change("annotations", 4, id=1)(content)
    (issue,) = check_coco(content, NAMES)
    assert issue.subject.rows == (3, 4)


def test_areas_are_not_asked_for_where_they_are_not_needed(make_coco):
    content = make_coco()
    content["annotations"][0] |= {"keypoints": [0] * 9, "bbox": [0, 0, 0, 0], "area": 0}
    content["annotations"][1] |= {"iscrowd": 1, "bbox": [0, 0, 0, 0], "area": 0}
    del content["annotations"][2]["keypoints"], content["annotations"][2]["area"]
    assert check_coco(content, NAMES) == []
    content = make_coco()
    content["annotations"][0]["area"] = 0
    assert check_coco(content, NAMES)
    assert check_coco(content, NAMES, needs_area=False) == []


def test_names_of_another_wording_are_not_an_order(make_coco):
    content = make_coco()
    content["categories"][0]["keypoints"] = ["Nose", "left eye", "right eye"]
    assert check_coco(content, NAMES) == []


def test_several_mistakes_of_one_depth_are_found_together(make_coco):
    content = make_coco()
    content["annotations"][0]["area"] = 0
    content["annotations"][1]["bbox"] = [0, 0, 0, 0]
    codes = {issue.code for issue in check_coco(content, NAMES)}
    assert codes == {"area_not_positive", "box_without_area"}


@pytest.mark.parametrize(
    ("annotation", "used"),
    [
        ({"keypoints": [1, 1, 2]}, True),
        ({"keypoints": [1, 1, 1], "iscrowd": 0}, True),
        ({"keypoints": [1, 1, 0]}, False),
        ({"keypoints": [1, 1, 2], "iscrowd": 1}, False),
        ({"keypoints": []}, False),
        ({}, False),
    ],
)
def test_used_means_labelled_and_no_crowd(annotation, used):
    assert is_used(annotation) is used


def test_visibilities_are_every_third_value():
    found = visibilities({"keypoints": [9, 9, 0, 9, 9, 1, 9, 9, 2]})
    np.testing.assert_array_equal(found, [0, 1, 2])
    assert found.dtype == np.uint8
