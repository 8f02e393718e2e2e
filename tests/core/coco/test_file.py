from __future__ import annotations

import json

import pytest

from equikpt.core.coco.file import load_coco


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
        pytest.param(b"\xff\xd8\xff", "is not JSON", id="a picture"),
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
