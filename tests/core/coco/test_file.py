import json

import pytest

from equikpt.core.coco.checks import load_valid_rows
from equikpt.core.coco.file import load_coco
from equikpt.core.issues import IssueError


def test_content_comes_back(tmp_path, make_coco):
    (tmp_path / "a.json").write_text(json.dumps(make_coco()))
    assert load_coco(tmp_path / "a.json") == make_coco()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file at .*nowhere.json; give a COCO"):
        load_coco(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "the whole: expected an object, found"),
        ('{"images": []}', "an object with 'annotations'"),
        ('{"images": 3, "annotations": [], "categories": []}', "images: expected a list, found 3"),
        ('{"images": [{}], "annotations": [], "categories": [{}]}', "has no annotations; export"),
        ('{"images": [{}], "annotations": [3], "categories": [{}]}', "expected an object, found 3"),
        ('{"images": [{}], "annotations": [{}]}', "an object with 'categories'"),
    ],
)
def test_what_is_no_coco_file_is_refused(tmp_path, text, message):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_coco(path)


def rows() -> dict:
    """Two images with an annotation each; boxes, areas and names of keypoints are missing."""
    return dict(
        images=[dict(id=1, file_name="1.png"), dict(id=2, file_name="2.png")],
        annotations=[
            dict(id=1, image_id=1, keypoints=[1.5, 2, 2, 0, 0, 0]),
            dict(id=2, image_id=2),
        ],
        categories=[dict(id=1, name="horse"), dict(id=1, name="horse")],
    )


@pytest.fixture
def write(tmp_path):
    """``write(part, change of its second row)`` makes a file and returns its path."""

    def make(part="images", change=()):
        content = rows()
        content[part][1] |= change
        if part == "images":  # else the annotation loses its image as well
            content["annotations"][1]["image_id"] = 1
        (tmp_path / "a.json").write_text(json.dumps(content))
        return tmp_path / "a.json"

    return make


def test_what_is_clear_is_read_as_it_is(write):
    assert load_valid_rows(write("annotations")) == rows()


@pytest.mark.parametrize(
    ("part", "change", "code"),
    [
        ("images", dict(id=1), "repeated_id"),
        ("images", dict(file_name=""), "field"),
        ("annotations", dict(id=1), "repeated_id"),
        ("annotations", dict(id=None), "field"),
        ("annotations", dict(image_id=3), "dangling_reference"),
        ("annotations", dict(image_id=None), "dangling_reference"),
        ("annotations", dict(keypoints=[1, 2]), "keypoint_count"),
        ("annotations", dict(keypoints=[float("nan"), 2, 2]), "keypoint_value"),
        ("annotations", dict(keypoints=[1, 2, 3]), "visibility_value"),
    ],
)
def test_rows_of_which_it_is_not_clear_what_they_are_are_refused(write, part, change, code):
    with pytest.raises(IssueError, match="a.json: ") as caught:
        load_valid_rows(write(part, change))
    (issue,) = caught.value.issues
    assert (issue.code, issue.subject.part, issue.subject.rows) == (code, part, (1,))


@pytest.mark.parametrize(
    ("part", "change", "path"),
    [
        ("images", dict(file_name=7), r"images\[1\].file_name"),
        ("annotations", dict(keypoints=["a", 2, 2]), r"annotations\[1\].keypoints\[0\]"),
        ("annotations", dict(keypoints=[[1], 2, 2]), r"annotations\[1\].keypoints\[0\]"),
        ("annotations", dict(keypoints={"nose": 1}), r"annotations\[1\].keypoints"),
    ],
)
def test_values_of_another_type_are_refused(write, part, change, path):
    with pytest.raises(ValueError, match=f"a.json.*{path}: expected"):
        load_valid_rows(write(part, change))
