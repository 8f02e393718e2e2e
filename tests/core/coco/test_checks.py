from __future__ import annotations

import re

import numpy as np
import pytest

from equikpt.core.coco.checks import Finding, check_coco, is_used, named, visibilities

NAMES = ("nose", "l_eye", "r_eye")


def sentences(content: dict, **options) -> list[str]:
    return [finding.sentence() for finding in check_coco(content, NAMES, **options)]


def test_a_sound_file_has_no_findings(make_coco):
    assert check_coco(make_coco(), NAMES) == []


def change(part: str, index: int, **fields):
    """A change of one row; the value ``...`` removes the field."""

    def apply(content: dict) -> None:
        for name, value in fields.items():
            if value is ...:
                del content[part][index][name]
            else:
                content[part][index][name] = value

    return apply


def keypoint(index: int, place: int, value):
    def apply(content: dict) -> None:
        content["annotations"][index]["keypoints"][place] = value

    return apply


CASES = [
    # fields
    pytest.param(
        change("images", 1, file_name=...),
        "'file_name' is absent or not a text (number 1 has None)",
        id="no file name",
    ),
    pytest.param(
        change("images", 0, width=0),
        "'width' is absent or not a number above 0 (number 0 has 0)",
        id="width 0",
    ),
    pytest.param(
        change("images", 0, id="1"),
        "images whose 'id' is absent or not an integer (number 0 has '1')",
        id="id a text",
    ),
    pytest.param(
        change("annotations", 2, category_id=...),
        "annotations whose 'category_id' is absent",
        id="no category id",
    ),
    # ids and references
    pytest.param(
        change("images", 2, id=1),
        "ids that several images share (1 (2 times))",
        id="image id twice",
    ),
    pytest.param(
        change("annotations", 3, id=1),
        "ids that several annotations share (1 (2 times))",
        id="annotation id twice",
    ),
    pytest.param(
        change("annotations", 3, image_id=99),
        "(annotation 4 names 99); remove them or list what they name under images",
        id="unknown image",
    ),
    pytest.param(
        change("annotations", 3, category_id=7),
        "(annotation 4 names 7); remove them or list what they name under categories",
        id="unknown category",
    ),
    # keypoints
    pytest.param(
        change("annotations", 1, keypoints=[1, 2, 2] * 4),
        "3 keypoints of x, y, visibility each (annotation 2 has 4 points)",
        id="K wrong",
    ),
    pytest.param(
        change("annotations", 1, keypoints=[1, 2] * 3),
        "annotation 2 has 2 points",
        id="no visibility",
    ),
    pytest.param(keypoint(4, 3, float("nan")), "not finite numbers (annotation 5)", id="nan"),
    pytest.param(keypoint(4, 3, float("inf")), "not finite numbers (annotation 5)", id="infinite"),
    pytest.param(keypoint(4, 4, None), "not finite numbers (annotation 5)", id="null"),
    pytest.param(
        keypoint(0, 5, 3), "visibilities other than 0, 1, 2 (annotation 1 has 3)", id="visibility 3"
    ),
    pytest.param(
        keypoint(0, 5, 0.5),
        "visibilities other than 0, 1, 2 (annotation 1 has 0.5)",
        id="visibility a score",
    ),
    pytest.param(
        change("categories", 0, keypoints=["nose", "r_eye", "l_eye"]),
        "category 'horse' has 'r_eye' at place 1, expected 'l_eye'",
        id="other order",
    ),
    # boxes
    pytest.param(
        change("annotations", 0, bbox=...),
        "boxes without area inside their picture (annotation 1 has None)",
        id="no box",
    ),
    pytest.param(
        change("annotations", 0, bbox=[1, 1, 0, 9]),
        "annotation 1 has [1, 1, 0, 9] in 48 x 32",
        id="box without width",
    ),
    pytest.param(
        change("annotations", 0, bbox=[1, 1, 9, -9]),
        "annotation 1 has [1, 1, 9, -9]",
        id="box upside down",
    ),
    pytest.param(
        change("annotations", 0, bbox=[60, 1, 9, 9]),
        "annotation 1 has [60, 1, 9, 9]",
        id="box outside",
    ),
    pytest.param(
        change("annotations", 0, bbox=[1, 1, 9]), "annotation 1 has [1, 1, 9]", id="box of three"
    ),
    # areas
    pytest.param(
        change("annotations", 5, area=...),
        "which AP needs (annotation 6); write the areas into the file, or set area",
        id="no area",
    ),
    pytest.param(
        change("annotations", 5, area=None),
        "without an area, which AP needs (annotation 6)",
        id="area null",
    ),
    pytest.param(
        change("annotations", 5, area=0),
        "not above 0, with which AP would be 0 (annotation 6 has 0)",
        id="area 0",
    ),
    pytest.param(change("annotations", 5, area=-4.0), "annotation 6 has -4.0", id="area negative"),
    pytest.param(
        change("annotations", 5, area=float("nan")), "annotation 6 has nan", id="area nan"
    ),
]


@pytest.mark.parametrize(("spoil", "said"), CASES)
def test_each_mistake_is_found_named_and_the_only_finding(make_coco, spoil, said):
    content = make_coco()
    spoil(content)
    found = check_coco(content, NAMES)
    assert len(found) == 1, found
    assert found[0].fatal
    assert said in found[0].sentence()
    assert re.search(r"\); \w", found[0].sentence()), "no advice"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(
            keypoint(0, 3, 48.5), "outside their picture (annotation 1)", id="point outside"
        ),
        pytest.param(
            change("images", 2, file_name="001.png"), "(001.png (2 times))", id="file twice"
        ),
    ],
)
def test_what_may_be_right_is_only_a_warning(make_coco, spoil, said):
    content = make_coco()
    spoil(content)
    found = check_coco(content, NAMES)
    assert [finding.fatal for finding in found] == [False]
    assert said in found[0].sentence()


def test_annotations_that_are_skipped_need_neither_box_nor_area(make_coco):
    content = make_coco()
    content["annotations"][0] |= {"keypoints": [0] * 9, "bbox": [0, 0, 0, 0], "area": 0}
    content["annotations"][1] |= {"iscrowd": 1, "bbox": [0, 0, 0, 0], "area": 0}
    del content["annotations"][2]["keypoints"], content["annotations"][2]["area"]
    assert check_coco(content, NAMES) == []


def test_areas_are_not_asked_for_where_they_are_not_needed(make_coco):
    content = make_coco()
    content["annotations"][0]["area"] = 0
    assert sentences(content)
    assert sentences(content, needs_area=False) == []


def test_names_of_another_wording_are_not_an_order(make_coco):
    content = make_coco()
    content["categories"][0]["keypoints"] = ["Nose", "left eye", "right eye"]
    assert check_coco(content, NAMES) == []


def test_several_mistakes_of_one_depth_are_told_together(make_coco):
    content = make_coco()
    content["annotations"][0]["area"] = 0
    content["annotations"][1]["bbox"] = [0, 0, 0, 0]
    assert len(sentences(content)) == 2


@pytest.mark.parametrize(
    ("count", "text"),
    [(1, "a0"), (5, "a0, a1, a2, a3, a4"), (6, "6 in all: a0, a1, a2, a3, a4, …")],
)
def test_at_most_five_offenders_are_shown_with_the_count(count, text):
    offenders = tuple(f"a{index}" for index in range(count))
    assert named(offenders) == text
    assert Finding("w", offenders, "f").sentence() == f"w ({text}); f"


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
