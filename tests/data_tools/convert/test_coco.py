from copy import deepcopy

import numpy as np
import pytest

from equikpt.core.coco.box_checks import FORMS, STATED
from equikpt.data_tools.convert.coco import from_contents
from equikpt.data_tools.convert.coco_files import read
from equikpt.data_tools.convert.images import ImageFolders
from equikpt.data_tools.convert.schemes import NO_SCHEME, KeypointScheme
from tests.data_tools.convert.conftest import HEIGHT, WIDTH, contents, edit


def instances(dataset, split="train") -> list:
    return [instance for image in dataset.splits[split] for instance in image.instances]


def test_a_valid_file_is_read_as_it_is(make_coco):
    root = make_coco()
    dataset = read(root, NO_SCHEME)
    assert dataset.notes == []
    assert {split: len(images) for split, images in dataset.splits.items()} == dict(train=3, val=2)
    content = contents(root)["train"]
    assert dataset.keypoints == tuple(content["categories"][0]["keypoints"])
    for instance, row in zip(instances(dataset), content["annotations"], strict=True):
        assert list(instance.box_px) == row["bbox"]
        assert instance.keypoints.ravel().tolist() == row["keypoints"]
        assert (instance.category, instance.area_px2) == ("horse", 400)
        assert (instance.crowd, instance.score, instance.scores) == (False, None, None)
    first = dataset.splits["train"][0]
    assert (first.width, first.height) == (WIDTH, HEIGHT)
    assert first.path == root / "images/train/train_1.png"


def each(part, **changes):
    """A change of the fields of each row; None removes one."""

    def change(content):
        for number, row in enumerate(content[part]):
            row |= {key: value(row, number) for key, value in changes.items() if value}
            for key in (key for key, value in changes.items() if value is None):
                row.pop(key, None)

    return change


def ids_as_text(content):
    """Of the images alone: annotations name them by numbers."""
    for row in (*content["images"], *content["categories"]):
        row["id"] = str(row["id"])


def bottom_edges(row, _):
    x, y, width, height = row["bbox"]
    return [x, y + height, width, height]


@pytest.mark.parametrize(
    ("change", "noted"),
    [
        pytest.param(
            each("annotations", area=None, iscrowd=None, num_keypoints=None), "", id="no counts"
        ),
        pytest.param(each("annotations", id=None), "numbered anew", id="no ids"),
        pytest.param(ids_as_text, "", id="ids as text"),
        pytest.param(each("annotations", id=lambda _, n: n), "begin at 0", id="ids from 0"),
        pytest.param(
            lambda content: content.update(categories=content["categories"] * 3),
            "'horse' stands 3 times",
            id="category repeated",
        ),
        pytest.param(
            each(
                "images",
                width=lambda row, _: HEIGHT * 1.0,
                height=lambda row, _: WIDTH * 1.0,
            ),
            "width and height were swapped",
            id="sizes swapped",
        ),
        pytest.param(each("annotations", bbox=bottom_edges), "y the bottom", id="bottom edges"),
        pytest.param(
            lambda content: content["images"].extend(content["images"][:]),
            "listed several times",
            id="images repeated",
        ),
        pytest.param(
            each("annotations", keypoints=lambda row, _: list(map(float, row["keypoints"]))),
            "",
            id="visibility 2.0",
        ),
        pytest.param(
            each("images", file_name=lambda row, _: f"C:\\labels\\{row['file_name']}"),
            "",
            id="paths of another machine",
        ),
    ],
)
def test_a_dialect_is_read_like_the_valid_file(make_coco, change, noted):
    root = make_coco()
    valid = read(root, NO_SCHEME)
    edit(root, change)
    dataset = read(root, NO_SCHEME)
    assert [note for note in dataset.notes if noted not in note] == []
    assert bool(dataset.notes) is bool(noted)
    assert dataset.keypoints == valid.keypoints
    for image, expected in zip(dataset.splits["train"], valid.splits["train"], strict=True):
        assert image.path == expected.path
        assert (image.width, image.height) == (WIDTH, HEIGHT)
        for instance, other in zip(image.instances, expected.instances, strict=True):
            assert instance.box_px == pytest.approx(other.box_px)
            np.testing.assert_array_equal(instance.keypoints, other.keypoints)


def test_categories_share_one_list_of_keypoints(make_coco):
    """A name of several categories is one keypoint, wherever it stands in each."""
    root = make_coco(names=("nose", "tail"))

    def change(content):
        content["categories"].append({"id": 7, "name": "foal", "keypoints": ["tail", "ear"]})
        content["annotations"][1] |= {"category_id": 7, "keypoints": [26, 5, 2, 30, 6, 1]}

    edit(root, change)
    dataset = read(root, NO_SCHEME)
    assert dataset.keypoints == ("nose", "tail", "ear")
    foal = instances(dataset)[1]
    assert foal.category == "foal"
    np.testing.assert_array_equal(foal.keypoints, [[0, 0, 0], [26, 5, 2], [30, 6, 1]])


def test_names_that_the_file_lacks_come_from_the_mapping(make_coco):
    root = make_coco()
    names = tuple(contents(root)["train"]["categories"][0]["keypoints"])
    for split in ("train", "val"):
        edit(root, each("categories", keypoints=None), split)
    with pytest.raises(ValueError, match="'horse'"):
        read(root, NO_SCHEME)
    assert read(root, KeypointScheme(names, {})).keypoints == names
    with pytest.raises(ValueError, match="15 values for 2 keypoints"):
        read(root, KeypointScheme(("a", "b"), {}))


def test_annotations_of_no_listed_image_are_left_out_and_noted(make_coco):
    root = make_coco()
    edit(root, lambda content: content["images"].pop(0))
    dataset = read(root, NO_SCHEME)
    assert len(dataset.splits["train"]) == len(instances(dataset)) == 2
    (note,) = dataset.notes
    assert note.endswith("not listed, left out (annotation 1, annotation 2)")


def set_first(part, **values):
    return lambda content: content[part][0].update(values)


def share_id(part, **values):
    return lambda content: content[part].append({**deepcopy(content[part][0]), **values})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(set_first("annotations", keypoints=[1, 2, 3]), "3 values for 5", id="count"),
        pytest.param(
            set_first("annotations", keypoints=[1, 2, 0.7] * 5), "visibility", id="scores"
        ),
        pytest.param(
            set_first("annotations", keypoints=["a"] * 15), "expected a number", id="words"
        ),
        pytest.param(set_first("annotations", category_id=9), "does not list", id="category"),
        pytest.param(set_first("annotations", bbox=[1, 2]), "has the box", id="box"),
        pytest.param(set_first("images", file_name=None), "without id or file_name", id="no name"),
        pytest.param(set_first("images", width=WIDTH + 9), "labelled as 59 x 40", id="size"),
        pytest.param(share_id("images", file_name="b.png"), "share the id 1", id="image id"),
        pytest.param(share_id("categories", name="cow"), "'horse' and 'cow' share", id="class id"),
        pytest.param(
            set_first("categories", keypoints=["a", "a", "b", "c", "d"]), "twice", id="names"
        ),
    ],
)
def test_what_is_wrong_is_named(make_coco, change, said):
    path = edit(make_coco(), change)
    with pytest.raises(ValueError, match=said):
        read(path, NO_SCHEME)


# --- boxes ---

RIGHT = np.array([30.0, 20, 60, 90])
SIZE = (120, 140)

CENTRE = "[x, y, width, height] with x, y the centre"
CORNERS = "[left, top, right, bottom]"


def written_as(form: str, box: np.ndarray) -> np.ndarray:
    """The numbers that mean ``box`` in another form."""
    x, y, width, height = box
    written = {
        STATED: (x, y, width, height),
        CORNERS: (x, y, x + width, y + height),
        "[x, y, width, height] with y the bottom": (x, y + height, width, height),
        CENTRE: (x + width / 2, y + height / 2, width, height),
        "[y, x, height, width]": (y, x, height, width),
        "[x, y, height, width]": (x, y, height, width),
    }
    for name, start in (
        ("fractions of the image", STATED),
        (f"{CORNERS} in fractions of the image", CORNERS),
        ("centre and size in fractions of the image", CENTRE),
    ):
        written[name] = tuple(np.divide(written[start], SIZE * 2))
    return np.array(written[form])


def read_boxes(boxes, points, tmp_path) -> tuple[list, list[str]]:
    """Boxes as read, and notes, of animals with these boxes and points on one image."""
    category = {"id": 1, "name": "horse", "keypoints": [f"p{n}" for n in range(len(points[0]))]}
    rows = [
        {
            "id": number,
            "image_id": 1,
            "category_id": 1,
            "bbox": None if box is None else list(map(float, box)),
            "keypoints": np.column_stack([xy, np.full(len(xy), 2)]).ravel().tolist(),
        }
        for number, (box, xy) in enumerate(zip(boxes, points, strict=True), start=1)
    ]
    image = {"id": 1, "file_name": "a.png", "width": SIZE[0], "height": SIZE[1]}
    content = {"images": [image], "annotations": rows, "categories": [category]}
    folders = {"": ImageFolders([tmp_path])}
    dataset = from_contents({"": content}, {"": tmp_path / "a.json"}, folders, ())
    return [instance.box_px for instance in instances(dataset, "")], dataset.notes


@pytest.mark.parametrize("form", FORMS)
def test_the_form_that_fits_the_points_is_taken_and_noted(form, tmp_path):
    rng = np.random.default_rng(0)
    boxes = [RIGHT + rng.uniform(0, 5, 4) for _ in range(20)]
    points = [rng.uniform(box[:2], box[:2] + box[2:], (40, 2)) for box in boxes]
    found, notes = read_boxes([written_as(form, box) for box in boxes], points, tmp_path)
    np.testing.assert_allclose(found, boxes)
    assert [form in note and "put right" in note for note in notes] == [True] * (form != STATED)


def test_a_box_that_no_form_explains_stays_and_is_noted(tmp_path):
    rng = np.random.default_rng(0)
    points = [rng.uniform(RIGHT[:2], RIGHT[:2] + RIGHT[2:], (6, 2)) for _ in range(10)]
    boxes = [RIGHT, RIGHT, RIGHT + (0, 90, 0, 0), *[RIGHT] * 7]
    found, notes = read_boxes(boxes, points, tmp_path)
    np.testing.assert_allclose(found, boxes)
    assert notes == ["boxes that leave a labelled point outside, or the image (annotation 3)"]


def test_absent_and_flat_boxes_are_left_to_the_points(tmp_path):
    flat = np.array([3.0, 4, 0, 5])
    found, notes = read_boxes([None, flat], [np.full((1, 2), 9.0)] * 2, tmp_path)
    assert found == [None, None]
    assert notes == ["boxes without area, taken anew around the points (annotation 2)"]
