import json

import pytest

from equikpt.core.coco.file import Coco, load_coco
from equikpt.core.typed_json import parse_json, read_json, refuse_wrong_types, wrong_types


def coco(**annotation) -> dict:
    return {"images": [{"id": 1}], "annotations": [{}, annotation], "categories": [{"id": 1}]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (coco(keypoints=[1, 2, "a"]), "annotations[1].keypoints[2]: expected a number, found 'a'"),
        (coco(keypoints=[True]), "annotations[1].keypoints[0]: expected a number, found True"),
        (coco(bbox={"x": 1}), "annotations[1].bbox: expected a list, found an object of 'x'"),
        (coco(area="12"), "annotations[1].area: expected a number, found '12'"),
        (coco(image_id=[1]), "annotations[1].image_id: expected a number or a text, found [1]"),
        (coco() | {"annotations": [1]}, "annotations[0]: expected an object, found 1"),
        (coco() | {"images": {}}, "images: expected a list, found an object of nothing"),
        ([1], "the whole: expected an object, found [1]"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_named_by_its_path(content, message):
    assert [str(wrong) for wrong in wrong_types(content, Coco)] == [message]


@pytest.mark.parametrize("value", [10**30, 10**400])
def test_numbers_that_no_array_holds_are_refused(value):
    (wrong,) = wrong_types(coco(id=value), Coco)
    assert wrong.path == ("annotations", 1, "id")
    assert wrong.expected == "a number of usual size"
    assert len(str(wrong)) < 150


def test_null_floats_as_ids_and_unknown_fields_are_left_to_the_checks():
    row = {"id": 1.0, "bbox": None, "keypoints": [None, 1e400, 0], "iscrowd": True, "x": {"y": [1]}}
    assert list(wrong_types(coco(**row), Coco)) == []


def test_all_are_found_and_the_first_ones_named():
    content = {"annotations": [{"area": "a"}] * 9}
    assert len(list(wrong_types(content, Coco))) == 9
    with pytest.raises(ValueError, match=r"^f: annotations\[0\].area: .* - and more; correct it"):
        refuse_wrong_types(content, Coco, "f", "COCO")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xff\xfe", "is empty"),
        (b"\xff\xfea", "is not JSON .*utf-16"),
        (b'{"a": "\xe4"}', "is not JSON .*utf-8"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'{"a": ' * 100_000, "is nested too deeply"),
        (b'{"id": 1, "id": 2}', "is not JSON .the key 'id' occurs twice"),
        (b'["\\ud800"]', "is not JSON .*surrogates"),
        (b"[" + b"9" * 5000 + b"]", "is not JSON .*4300 digits"),
        (b"[1,,2]", "is not JSON .*line 1 column 4"),
    ],
)
def test_what_is_no_json_is_one_sentence(tmp_path, content, message):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"a.json {message}") as caught:
        read_json(path, "labels")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_every_encoding_of_json_is_read(tmp_path, encoding):
    (tmp_path / "a.json").write_text('["ä😀"]', encoding=encoding)
    assert read_json(tmp_path / "a.json", "labels") == ["ä😀"]
    assert parse_json('"\\ud83d\\ude00"', "a text", "labels") == "😀"


def test_types_may_be_left_to_the_checks(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(coco(keypoints=[1, 2, "a"])))
    assert load_coco(path, typed=False)["annotations"][1] == {"keypoints": [1, 2, "a"]}
