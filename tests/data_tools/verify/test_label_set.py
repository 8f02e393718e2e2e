import pytest

from tests.data_tools.verify.conftest import NAMES, codes_of, people


def change(part: str, index: int, **fields):
    return lambda content: content[part][index].update(fields)


def second(**fields):
    return change("annotations", 2, **fields)


OUTSIDE = [301, 9, 2, -1, 9, 0] + [5, 5, 0] * 15
MISTAKES = {
    "field": second(category_id=None),
    "repeated_id": lambda content: content["annotations"][0].update(id=3),
    "dangling_reference": second(image_id=99),
    "keypoint_count": second(keypoints=[1, 1, 2]),
    "keypoint_value": second(keypoints=["x", 1, 2] * 17),
    "visibility_value": second(keypoints=[9, 9, 3] * 17),
    "num_keypoints": second(num_keypoints=4),
    "no_area": second(area=None),
    "area_not_positive": second(area=0),
    "box_without_area": second(bbox=[9, 9, 0, 5]),
    "point_outside_image": second(keypoints=OUTSIDE, num_keypoints=1),
    "repeated_file": change("images", 2, file_name="1.png"),
    "keypoint_order": change("categories", 0, keypoints=[NAMES[1], NAMES[0], *NAMES[2:]]),
    "keypoint_names": change("categories", 0, keypoints=["beak", *NAMES[1:]]),
}
OF_THE_FILE = ("repeated_file", "keypoint_order", "keypoint_names")


@pytest.mark.parametrize("code", MISTAKES)
def test_each_mistake_is_found_once_and_named(read, code):
    content = people(5)
    MISTAKES[code](content)
    issues = read(content, metainfo="coco17").structure
    assert codes_of(issues) == [(code, None if code in OF_THE_FILE else 3)]
    if code == "point_outside_image":
        assert issues[0].subject.keypoints == (0,)


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
