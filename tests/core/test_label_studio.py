import json

import pytest

from equikpt.core.label_studio import is_list, read_tasks

RADIOGRAPH = "radiograph.png"


def point(label: str, x: float, y: float, **more) -> dict:
    value = dict(x=x, y=y, width=1.0, keypointlabels=[label])
    return dict(type="keypointlabels", value=value, **more)


def task(*results: dict, **more) -> dict:
    annotation = dict(id=1, result=list(results), created_at="2025-01-01T00:00:00Z")
    return dict(id=7, file_upload="radiograph.png", annotations=[annotation]) | more


@pytest.fixture
def read(tmp_path):
    def write_and_read(*rows):
        path = tmp_path / "export.json"
        path.write_text(json.dumps(list(rows)))
        return read_tasks(path)

    return write_and_read


def test_points_are_percentages_by_label_beside_stated_sizes_and_turns(read):
    (found,) = read(task(point("p1", 75, 8.5), point("p2", 74.6, 3.5)))
    assert found.points == {"p1": ((75.0, 8.5),), "p2": ((74.6, 3.5),)}
    assert (found.number, found.file_name, found.size_px) == (7, "radiograph.png", None)
    stated = dict(original_width=1968, original_height=2207, image_rotation=90)
    (found,) = read(task(point("p1", 1, 2, **stated)))
    assert (found.size_px, found.rotation) == ((1968, 2207), 90)


def test_a_doubled_label_is_left_to_the_caller_and_other_shapes_are_no_points(read):
    rectangle = dict(type="rectanglelabels", value=dict(x=1, y=2))
    (found,) = read(task(rectangle, point("p1", 1, 2), point("p1", 3, 4)))
    assert found.points == {"p1": ((1.0, 2.0), (3.0, 4.0))}


def test_the_newest_annotation_counts_and_cancelled_ones_do_not(read):
    def annotation(x: float, day: int, **more) -> dict:
        return dict(result=[point("p1", x, 0)], updated_at=f"2025-01-{day:02d}T00:00:00Z", **more)

    annotations = [annotation(1, 2), annotation(2, 9), annotation(3, 20, was_cancelled=True)]
    (found,) = read(dict(id=1, file_upload="a.png", annotations=annotations))
    assert found.points["p1"] == ((2.0, 0.0),)
    assert found.annotations == 2


@pytest.mark.parametrize(
    ("row", "names"),
    [
        (dict(file_upload="8a75433a-radiograph.png"), ("8a75433a-radiograph.png", RADIOGRAPH)),
        (dict(data=dict(image="/data/upload/6/radiograph.png")), (RADIOGRAPH,)),
        (dict(data=dict(image="/data/local-files/?d=radiographs%2Fa%20b.png")), ("a b.png",)),
        (dict(data=dict(image="https://example.org/x/radiograph.png?token=1")), (RADIOGRAPH,)),
        (dict(file_upload="deadbeef.png"), ("deadbeef.png",)),
        (dict(data=dict(img="s3://bucket/x/radiograph.png", who="me")), (RADIOGRAPH,)),
        (dict(file_upload="0123abcd-list.json", data=dict(photo=f"x/{RADIOGRAPH}")), (RADIOGRAPH,)),
    ],
    ids=["prefix", "upload", "local file", "URL", "no prefix", "other key", "imported list"],
)
def test_names_under_which_the_image_may_lie(read, row, names):
    (found,) = read(dict(id=1, annotations=[]) | row)
    assert found.names_on_disk == names
    assert found.points == {}


def test_of_several_images_the_interface_chooses(read, tmp_path):
    row = dict(id=1, annotations=[], data=dict(left="a.png", right="b.png"))
    with pytest.raises(ValueError, match="several images .data.left, data.right.; put the lab"):
        read(row)
    interface = '<View><Image name="x" value="$right"/></View>'
    (tmp_path / "labeling_interface.xml").write_text(interface)
    assert read(row)[0].file_name == "b.png"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            task(dict(type="keypointlabels", value=dict(x="a", y=1, keypointlabels=["p1"]))),
            r"\[0\].annotations\[0\].result\[0\].value.x: expected a number, found 'a'",
        ),
        (
            task(dict(type="keypointlabels", value=dict(y=1, keypointlabels=["p1"]))),
            "task 7, p1 has x None and y 1; expected percentages",
        ),
        (dict(id=3, annotations=[]), "task 3 names no image"),
        (dict(id=3, image="a.png"), "an object with 'annotations'.* not as JSON-MIN"),
    ],
    ids=["text", "no number", "no image", "JSON-MIN"],
)
def test_mistakes_are_sentences(read, row, message):
    with pytest.raises(ValueError, match=message):
        read(row)


def test_files_that_are_none(read, tmp_path):
    with pytest.raises(ValueError, match="has no tasks; give an export of Label Studio"):
        read()
    with pytest.raises(FileNotFoundError):
        read_tasks(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("text", "expected"), [("  [1]", True), ("\ufeff[1]", True), ("{}", False), ("", False)]
)
def test_lists_differ_from_coco_by_their_start(tmp_path, text, expected):
    path = tmp_path / "file.json"
    path.write_text(text, encoding="utf-8")
    assert is_list(path) is expected
    assert not is_list(tmp_path / "none.json")
