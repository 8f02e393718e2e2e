from __future__ import annotations

import json

import pytest

from equikpt.core.coco.checks import check_detections
from equikpt.core.issues import IssueError

GOOD = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}


def test_a_valid_file_passes(tmp_path):
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps([GOOD, {**GOOD, "category_id": 18}]))
    check_detections(path, {1})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param("{", "is not JSON", id="cut off"),
        pytest.param('{"annotations": []}', "the whole: expected a list", id="annotation file"),
        pytest.param(
            json.dumps([{**GOOD, "category_id": 18}]), "none of the 1 rows", id="category"
        ),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, content, said):
    path = tmp_path / "boxes.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=said):
        check_detections(path, {1})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file at .*boxes.json; give a detector"):
        check_detections(tmp_path / "boxes.json", {1})


@pytest.mark.parametrize(
    ("change", "code", "example"),
    [
        pytest.param({"bbox": [1, 2]}, "field", "number 1", id="box"),
        pytest.param({"score": None}, "field", "number 1", id="score"),
        pytest.param({"image_id": 9}, "dangling_reference", "9", id="other split"),
    ],
)
def test_rows_that_cannot_be_used_are_refused(tmp_path, change, code, example):
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps([GOOD, {**GOOD, **change}]))
    with pytest.raises(IssueError) as caught:
        check_detections(path, {1})
    assert [(i.code, i.examples) for i in caught.value.issues] == [(code, (example,))]
