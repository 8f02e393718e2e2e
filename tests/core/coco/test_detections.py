import json

import pytest

from equikpt.core.coco.checks import check_detections
from equikpt.core.issues import IssueError

GOOD = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}


@pytest.fixture
def check(tmp_path):
    def write_and_check(content):
        (tmp_path / "boxes.json").write_text(json.dumps(content))
        return check_detections(tmp_path / "boxes.json", {1})

    return write_and_check


def test_a_valid_file_is_read(check):
    rows = [GOOD, {**GOOD, "category_id": 18}]
    assert check(rows) == rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"annotations": []}, "boxes.json: the whole: expected a list"),
        ([{**GOOD, "category_id": 18}], "none of the 1 rows"),
    ],
    ids=["annotation file", "category"],
)
def test_a_wrong_file_is_refused(check, content, message):
    with pytest.raises(ValueError, match=message):
        check(content)


@pytest.mark.parametrize(
    ("change", "code", "example"),
    [
        ({"bbox": [1, 2]}, "field", "number 1"),
        ({"score": None}, "field", "number 1"),
        ({"image_id": 9}, "dangling_reference", "9"),
    ],
    ids=["box", "score", "other split"],
)
def test_rows_that_cannot_be_used_are_refused(check, change, code, example):
    with pytest.raises(IssueError) as caught:
        check([GOOD, {**GOOD, **change}])
    assert [(i.code, i.examples) for i in caught.value.issues] == [(code, (example,))]
