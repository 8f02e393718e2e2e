from __future__ import annotations

import json

import pytest

from equikpt.core.coco.file import load_coco, load_valid_rows
from equikpt.core.issues import IssueError


def test_content_comes_back_with_or_without_byte_order_mark(tmp_path, make_coco):
    content = make_coco()
    for encoding in ("utf-8", "utf-8-sig"):
        path = tmp_path / f"{encoding}.json"
        path.write_text(json.dumps(content), encoding=encoding)
        assert load_coco(path) == content


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="no annotation file at .*nowhere.json; set data_root"
    ):
        load_coco(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "is empty; export it again", id="empty"),
        pytest.param(" \n", "is empty", id="blank"),
        pytest.param('{"images": [', "is not JSON", id="cut off"),
        pytest.param(b"\xff\xd8\xff", "is not JSON", id="an image"),
        pytest.param("[1, 2]", "holds a list; expected a COCO object", id="list"),
        pytest.param('{"images": []}', "has no images", id="no images"),
        pytest.param('{"images": 3}', "no list of objects 'images'", id="images a number"),
        pytest.param(
            '{"images": [{}], "annotations": []}', "has no annotations", id="no annotations"
        ),
        pytest.param(
            '{"images": [{}], "annotations": [3]}',
            "no list of objects 'annotations'",
            id="annotation a number",
        ),
        pytest.param(
            '{"images": [{}], "annotations": [{}]}',
            "no list of objects 'categories'",
            id="no categories",
        ),
    ],
)
def test_what_is_no_coco_file_is_refused(tmp_path, text, said):
    path = tmp_path / "a.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=said):
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


def test_what_is_clear_is_read_as_it_is(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows()))
    assert load_valid_rows(path) == rows()


UNCLEAR = [
    # the change of the second row, and the code of the only issue with its example
    ("images", dict(id=1), "repeated_id", "1"),
    ("images", dict(file_name=""), "field", "2"),
    ("annotations", dict(id=1), "repeated_id", "1"),
    ("annotations", dict(id=None), "field", "None"),
    ("annotations", dict(image_id=3), "dangling_reference", "2"),
    ("annotations", dict(keypoints=[1, 2]), "keypoint_value", "2"),
    ("annotations", dict(keypoints=[float("nan"), 2, 2]), "keypoint_value", "2"),
    ("annotations", dict(keypoints=[1, 2, 3]), "keypoint_value", "2"),
]


@pytest.mark.parametrize(("part", "change", "code", "example"), UNCLEAR)
def test_rows_of_which_it_is_not_clear_what_they_are_are_refused(
    tmp_path, part, change, code, example
):
    spoilt = rows()
    if part == "images":  # else the annotation loses its image as well
        spoilt["annotations"][1]["image_id"] = 1
    spoilt[part][1] |= change
    path = tmp_path / "a.json"
    path.write_text(json.dumps(spoilt))
    with pytest.raises(IssueError, match="a.json: ") as caught:
        load_valid_rows(path)
    assert [(i.code, i.examples) for i in caught.value.issues] == [(code, (example,))]


@pytest.mark.parametrize(
    ("part", "change", "where"),
    [
        ("images", dict(file_name=7), r"images\[1\].file_name"),
        ("annotations", dict(keypoints=["a", 2, 2]), r"annotations\[1\].keypoints\[0\]"),
        ("annotations", dict(keypoints=[[1], 2, 2]), r"annotations\[1\].keypoints\[0\]"),
        ("annotations", dict(keypoints={"nose": 1}), r"annotations\[1\].keypoints"),
    ],
)
def test_values_of_another_type_are_refused(tmp_path, part, change, where):
    spoilt = rows()
    spoilt[part][1] |= change
    path = tmp_path / "a.json"
    path.write_text(json.dumps(spoilt))
    with pytest.raises(ValueError, match=f"a.json.*{where}: expected"):
        load_valid_rows(path)
