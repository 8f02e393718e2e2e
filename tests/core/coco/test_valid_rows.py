from __future__ import annotations

import json

import pytest

from equikpt.core.coco.valid_rows import load_sound_rows


def content() -> dict:
    """Two pictures with an annotation each; boxes, areas and names of keypoints are missing."""
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
    path.write_text(json.dumps(content()))
    assert load_sound_rows(path) == content()


MISTAKES = [
    ("images", dict(id=1), r"images of the same id \(1\)"),
    ("images", dict(id=None), "images without id"),
    ("images", dict(file_name=""), r"pictures without file_name \(2\)"),
    ("images", dict(file_name=7), r"images\[1\].file_name: expected a text, found 7"),
    ("annotations", dict(id=1), "annotations of the same id"),
    ("annotations", dict(image_id=3), r"pictures that it does not list \(2\)"),
    ("annotations", dict(keypoints=[1, 2]), "not x, y, visibility"),
    ("annotations", dict(keypoints=["a", 2, 2]), r"keypoints\[0\]: expected a number, found 'a'"),
    ("annotations", dict(keypoints=[[1], 2, 2]), r"keypoints\[0\]: expected a number, found \[1\]"),
    ("annotations", dict(keypoints=[float("nan"), 2, 2]), "not x, y, visibility"),
    ("annotations", dict(keypoints=[1, 2, 3]), "not x, y, visibility"),
    ("annotations", dict(keypoints={"nose": 1}), "keypoints: expected a list"),
]


@pytest.mark.parametrize(("part", "change", "words"), MISTAKES)
def test_what_is_not_clear_is_one_sentence(tmp_path, part, change, words):
    spoilt = content()
    spoilt[part][1] |= change
    path = tmp_path / "a.json"
    path.write_text(json.dumps(spoilt))
    with pytest.raises(ValueError, match=f"a.json.*{words}"):
        load_sound_rows(path)
