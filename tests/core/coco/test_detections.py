from __future__ import annotations

import json

import pytest

from equikpt.core.coco.detections import check_detections

GOOD = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}


def test_a_sound_file_passes(tmp_path):
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps([GOOD, {**GOOD, "category_id": 18}]))
    check_detections(path, {1})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param("{", "is not JSON", id="cut off"),
        pytest.param('{"annotations": []}', "is not a list of objects", id="annotation file"),
        pytest.param(json.dumps([GOOD, {**GOOD, "bbox": [1, 2]}]), r"\(number 1\)", id="box"),
        pytest.param(json.dumps([{**GOOD, "score": None}]), r"\(number 0\)", id="score"),
        pytest.param(json.dumps([{**GOOD, "image_id": 9}]), r"lacks \(9\)", id="other split"),
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
    with pytest.raises(FileNotFoundError, match="no detection file at .*boxes.json"):
        check_detections(tmp_path / "boxes.json", {1})
