from __future__ import annotations

import json
import shutil
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

from equikpt.data_tools.convert.coco_files import annotation_files, split_named
from equikpt.data_tools.convert.coco_json import read
from equikpt.data_tools.convert.schemes import NO_SCHEME, KeypointScheme

HEIGHT, WIDTH = 40, 50  # of the images that make_coco writes


def edit(root: Path, change) -> Path:
    path = root / "annotations/train.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def instances(dataset, split="train") -> list:
    return [instance for image in dataset.splits[split] for instance in image.instances]


def test_a_sound_file_is_read_as_it_is(make_coco):
    root = make_coco()
    dataset = read(root, NO_SCHEME)
    assert dataset.notes == []
    assert {split: len(images) for split, images in dataset.splits.items()} == {
        "train": 3,
        "val": 2,
    }
    content = json.loads((root / "annotations/train.json").read_text())
    assert dataset.keypoints == tuple(content["categories"][0]["keypoints"])
    for instance, row in zip(instances(dataset), content["annotations"], strict=True):
        assert list(instance.box_px) == row["bbox"]
        assert instance.keypoints.ravel().tolist() == row["keypoints"]
        assert (instance.category, instance.area_px2) == ("horse", 400)
        assert (instance.crowd, instance.score, instance.scores) == (False, None, None)
    first = dataset.splits["train"][0]
    assert (first.width, first.height) == (WIDTH, HEIGHT)
    assert first.path == root / "images/train/train_1.png"


def without(*keys):
    def change(content):
        for row in content["annotations"]:
            for key in keys:
                row.pop(key, None)

    return change


def ids_from_zero(content):
    for number, row in enumerate(content["annotations"]):
        row["id"] = number


def repeat_category(content):
    content["categories"] *= 3


def swap_sizes(content):
    for row in content["images"]:
        row["width"], row["height"] = float(row["height"]), float(row["width"])


def bottom_edges(content):
    for row in content["annotations"]:
        row["bbox"][1] += row["bbox"][3]


def list_twice(content):
    content["images"] += content["images"]


def float_visibilities(content):
    for row in content["annotations"]:
        row["keypoints"] = list(map(float, row["keypoints"]))


def test_files_that_are_not_read_are_named(make_coco):
    root = make_coco()
    (root / "annotations/more_horses.json").write_text("{}")
    assert read(root, NO_SCHEME).notes == [
        "JSON files whose names say no split are not read (more_horses.json)"
    ]


def ids_as_text(content):
    """Of the images alone: annotations name them by numbers."""
    for row in (*content["images"], *content["categories"]):
        row["id"] = str(row["id"])


def folders_on_a_disk(content):
    for row in content["images"]:
        row["file_name"] = f"C:\\labels\\{row['file_name']}"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(without("area", "iscrowd", "num_keypoints"), "", id="counts absent"),
        pytest.param(without("id"), "numbered anew", id="no ids"),
        pytest.param(ids_as_text, "", id="ids as text"),
        pytest.param(ids_from_zero, "begin at 0", id="ids from 0"),
        pytest.param(repeat_category, "'horse' stands 3 times", id="category repeated"),
        pytest.param(swap_sizes, "width and height were swapped", id="sizes swapped"),
        pytest.param(bottom_edges, "y the bottom", id="bottom edges"),
        pytest.param(list_twice, "listed several times", id="images repeated"),
        pytest.param(float_visibilities, "", id="visibility 2.0"),
        pytest.param(folders_on_a_disk, "", id="paths of another machine"),
    ],
)
def test_a_dialect_is_read_like_the_sound_file(make_coco, change, told):
    root = make_coco()
    sound = read(root, NO_SCHEME)
    edit(root, change)
    dataset = read(root, NO_SCHEME)
    assert [note for note in dataset.notes if told not in note] == []
    assert bool(dataset.notes) is bool(told)
    assert dataset.keypoints == sound.keypoints
    for image, expected in zip(dataset.splits["train"], sound.splits["train"], strict=True):
        assert (image.path, image.width, image.height) == (
            expected.path,
            expected.width,
            expected.height,
        )
        for instance, other in zip(image.instances, expected.instances, strict=True):
            assert instance.box_px == pytest.approx(other.box_px)
            np.testing.assert_array_equal(instance.keypoints, other.keypoints)


def test_categories_share_one_list_of_keypoints(make_coco):
    """What the categories name alike is one keypoint, wherever it stands in each."""
    root = make_coco(names=("nose", "tail"), animals=2)

    def change(content):
        content["categories"].append({"id": 7, "name": "foal", "keypoints": ["tail", "ear"]})
        content["annotations"][1]["category_id"] = 7
        content["annotations"][1]["keypoints"] = [26, 5, 2, 30, 6, 1]

    edit(root, change)
    dataset = read(root, NO_SCHEME)
    assert dataset.keypoints == ("nose", "tail", "ear")
    foal = instances(dataset)[1]
    assert foal.category == "foal"
    np.testing.assert_array_equal(foal.keypoints, [[0, 0, 0], [26, 5, 2], [30, 6, 1]])


def test_names_that_the_file_lacks_come_from_the_mapping(make_coco):
    root = make_coco()
    for split in ("train", "val"):
        path = root / f"annotations/{split}.json"
        content = json.loads(path.read_text())
        names = content["categories"][0].pop("keypoints")
        path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="does not name the keypoints of category 'horse'"):
        read(root, NO_SCHEME)
    assert read(root, KeypointScheme(tuple(names), {})).keypoints == tuple(names)
    with pytest.raises(ValueError, match="15 values for 2 keypoints"):
        read(root, KeypointScheme(("a", "b"), {}))


def test_annotations_of_no_listed_image_are_left_out_and_told(make_coco):
    root = make_coco()
    edit(root, lambda content: content["images"].pop(0))
    dataset = read(root, NO_SCHEME)
    assert len(dataset.splits["train"]) == 2
    assert len(instances(dataset)) == 2
    assert dataset.notes == [
        "train: annotations of images not listed, left out (annotation 1, annotation 2)"
    ]


def test_boxes_may_be_absent(make_coco):
    root = make_coco()
    edit(root, without("bbox"))
    assert [instance.box_px for instance in instances(read(root, NO_SCHEME))] == [None] * 4


def set_first(part, **values):
    return lambda content: content[part][0].update(values)


def share_id(part, **values):
    return lambda content: content[part].append({**deepcopy(content[part][0]), **values})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(set_first("annotations", keypoints=[1, 2, 3]), "3 values for 5", id="count"),
        pytest.param(
            set_first("annotations", keypoints=[1, 2, 0.7] * 5), "--predictions", id="scores"
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
    root = make_coco()
    path = edit(root, change)
    with pytest.raises(ValueError, match=said):
        read(path, NO_SCHEME)


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("person_keypoints_val2017", "val"),
        ("ap10k-train-split1", "train"),
        ("valid", "val"),
        ("Test", "test"),
        ("trainer", ""),
        ("_annotations.coco", ""),
    ],
)
def test_splits_are_read_off_names(text, split):
    assert split_named(text) == split


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(["annotations/val.json", "annotations/train.json"], "train val", id="coco"),
        pytest.param(["train/_a.coco.json", "valid/_a.coco.json"], "train val", id="roboflow"),
        pytest.param(["a_train.json", "b_test.json", "readme.json"], "test train", id="beside"),
        pytest.param(["horse.json"], "", id="one file"),
    ],
)
def test_annotation_files_are_found(tmp_path, files, expected):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert sorted(annotation_files(tmp_path)) == (expected.split() or [""])


def test_unclear_folders_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no \*.json with train, val or test"):
        annotation_files(tmp_path)
    for name in ("a_train.json", "b_train.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match="both for split 'train'"):
        annotation_files(tmp_path)


def test_images_may_lie_elsewhere(make_coco, tmp_path):
    root = make_coco()
    shutil.move(root / "images", tmp_path / "elsewhere")
    assert not read(root, NO_SCHEME).splits["val"][0].exists
    found = read(root, NO_SCHEME, tmp_path / "elsewhere").splits["val"][0].path
    assert found == tmp_path / "elsewhere/val/val_1.png"
