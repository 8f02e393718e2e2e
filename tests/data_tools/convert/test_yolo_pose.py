import os
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml

from equikpt.data_tools.convert.reading import Reading, read_source
from equikpt.data_tools.convert.yolo_pose import read
from tests.data_tools.convert.conftest import HEIGHT, LINE, POINTS, WIDTH


def first_label(root):
    return root / "train/labels/train0_jpg.rf.0000.txt"


def test_fractions_become_pixels(make_yolo, scheme):
    dataset = read(make_yolo(), scheme)
    assert {split: len(images) for split, images in dataset.splits.items()} == {
        "train": 3,
        "val": 2,
    }
    image = dataset.splits["train"][0]
    assert (image.width, image.height) == (WIDTH, HEIGHT)
    assert image.source_name == "train0_jpg"
    (instance,) = image.instances
    # Centre (25, 20), 40 wide, 24 high.
    assert instance.box_px == pytest.approx((5, 8, 40, 24))
    expected = [[5, 4, 2], [10, 12, 1], [20, 20, 2], [30, 30, 2], [16.5, 17.6, 0]]
    np.testing.assert_allclose(instance.keypoints, expected)


def test_two_values_a_point_have_the_corner_for_unlabelled(make_yolo, scheme):
    root = make_yolo(kpt_shape=[5, 2])
    for path in root.rglob("*.txt"):
        path.write_text("0 0.5 0.5 0.8 0.6 0.1 0.1 0 0 0.4 0.5 0.6 0.75 0 0.2\n")
    (instance,) = read(root, scheme).splits["train"][0].instances
    expected = [[5, 4, 2], [0, 0, 0], [20, 20, 2], [30, 30, 2], [0, 8, 2]]
    np.testing.assert_allclose(instance.keypoints, expected)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="roboflow, one level off"),
        pytest.param({"train": "train/images", "val": "valid/images"}, id="beside the file"),
        pytest.param({"path": "sub/..", "train": "train/images", "val": "valid/images"}, id="path"),
        pytest.param({"val": None, "valid": "../valid/images"}, id="valid for val"),
        pytest.param({"train": ["train/images"]}, id="a list"),
        pytest.param({"names": {0: "horse"}}, id="names by number"),
    ],
)
def test_ways_to_say_where_the_images_are(make_yolo, scheme, changes):
    root = make_yolo(**changes)
    (root / "sub").mkdir()
    assert [len(images) for images in read(root, scheme).splits.values()] == [3, 2]


def test_an_absent_test_split_is_noted(make_yolo, scheme):
    """The file itself may be given."""
    notes = read(make_yolo() / "data.yaml", scheme).notes
    assert any("'../test/images' for the test split" in note for note in notes)


@pytest.mark.parametrize(
    ("flip_idx", "noted"),
    [([0, 1, 2, 3, 4], ["[0, 1, 3, 2, 4]"]), ([0, 1, 3, 2, 4], []), (None, [])],
    ids=["wrong", "right", "absent"],
)
def test_a_wrong_flip_is_ignored_and_the_right_one_noted(make_yolo, scheme, flip_idx, noted):
    notes = [note for note in read(make_yolo(flip_idx=flip_idx), scheme).notes if "flip" in note]
    assert len(notes) == len(noted)
    assert all(f"it is {flip_idx}" in note and noted[0] in note for note in notes)


def test_the_size_is_that_of_the_image(make_yolo, scheme):
    root = make_yolo()
    path = next((root / "train/images").iterdir())
    cv2.imwrite(str(path), np.zeros((100, 200, 3), np.uint8))
    image = next(image for image in read(root, scheme).splits["train"] if image.path == path)
    assert (image.width, image.height) == (200, 100)
    np.testing.assert_allclose(image.instances[0].keypoints[0], [20, 10, 2])


def test_several_animals_blank_lines_and_no_label_file(make_yolo, scheme):
    root = make_yolo()
    first_label(root).write_text(f"{LINE}\n\n{LINE}\n")
    (root / "train/labels/train1_jpg.rf.0001.txt").write_text("")
    (root / "train/labels/train2_jpg.rf.0002.txt").unlink()
    (root / "train/labels/lonely.txt").write_text(LINE)
    dataset = read(root, scheme)
    assert [len(image.instances) for image in dataset.splits["train"]] == [2, 0, 0]
    assert "train: images without a label file (train2_jpg.rf.0002.jpg)" in dataset.notes
    assert "train: label files without an image (lonely.txt)" in dataset.notes


def test_of_several_classes_those_asked_for_are_read(make_yolo, scheme):
    root = make_yolo(names=["cow", "horse"])
    first_label(root).write_text(f"{LINE}\n1{LINE[1:]}\n1{LINE[1:]}\n")
    with pytest.raises(ValueError, match="'classes'"):
        read(root, scheme)
    images = read(root, replace(scheme, classes=("horse",))).splits["train"]
    assert [len(image.instances) for image in images] == [2, 0, 0]
    with pytest.raises(ValueError, match="'mule'"):
        read(root, replace(scheme, classes=("mule",)))


def test_a_box_that_passes_the_border_by_rounding_is_clipped(make_yolo, scheme):
    root = make_yolo()
    first_label(root).write_text(f"0 0.5 0.5 1.01 1.01 {POINTS}")
    assert read(root, scheme).splits["train"][0].instances[0].box_px == pytest.approx(
        (0, 0, WIDTH, HEIGHT)
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(LINE + " 1", "has 21 values; expected 20", id="too long"),
        pytest.param(LINE[:-2], "has 19 values", id="too short"),
        pytest.param(LINE.replace("0.33", "nan"), "expected 20 finite", id="nan"),
        pytest.param(LINE.replace("0.33", "x"), "is no number", id="a word"),
        pytest.param("1" + LINE[1:], "has class 1", id="class out of range"),
        pytest.param("0.5" + LINE[1:], "has class 0.5", id="class no integer"),
        pytest.param(LINE[:-1] + "3", "visibility other than", id="visibility 3"),
        pytest.param(LINE.replace("0.8 0.6", "0.8 0"), "has the box", id="box without height"),
        pytest.param(LINE.replace("0.5 0.5 0.8", "25 20 40"), "as fractions", id="box in px"),
    ],
)
def test_a_wrong_line_is_named_with_file_and_number(make_yolo, scheme, text, said):
    root = make_yolo()
    first_label(root).write_text(f"{LINE}\n{text}\n")
    where = re.escape(f"{first_label(root).name}:2")
    with pytest.raises(ValueError, match=f"{where}.*{said}"):
        read(root, scheme)


def test_a_damaged_image_is_named(make_yolo, scheme):
    root = make_yolo()
    path = next((root / "train/images").iterdir())
    path.write_bytes(b"no image")
    with pytest.raises(ValueError, match=f"{path.name} is damaged"):
        read(root, scheme)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        pytest.param({"kpt_shape": None}, ValueError, "kpt_shape None", id="detection dataset"),
        pytest.param({"kpt_shape": ["5", 3]}, ValueError, "this is no YOLO-pose", id="a word"),
        pytest.param({"kpt_shape": [5, 4]}, ValueError, "this is no YOLO-pose", id="shape"),
        pytest.param(
            {"kpt_shape": [17, 3]}, ValueError, "17 keypoints and the mapping names 5", id="K"
        ),
        pytest.param({"names": None}, ValueError, "no class names", id="names"),
        pytest.param({"train": "../nowhere"}, FileNotFoundError, "'../nowhere'", id="train"),
        pytest.param({"train": None, "val": None, "test": None}, ValueError, "names no", id="none"),
        pytest.param({"train": 3}, ValueError, "has 'train: 3'; expected a folder", id="a number"),
        pytest.param({"num_valid": 0}, FileNotFoundError, "no images for split 'val'", id="empty"),
    ],
)
def test_a_wrong_description_is_refused(make_yolo, scheme, changes, error, said):
    with pytest.raises(error, match=said):
        read(make_yolo(**changes), scheme)


def test_a_folder_without_description_is_told_what_to_write(make_yolo, tmp_path, scheme):
    """The advice, written down, reads the folder."""
    with pytest.raises(FileNotFoundError, match=r"no .*data.yaml; give the folder of a YOLO-pose"):
        read(tmp_path, scheme)
    root = make_yolo()
    (root / "data.yaml").unlink()
    first_label(root).write_text(f"2{LINE[1:]}\n")
    with pytest.raises(FileNotFoundError, match="write that file, such as {train") as raised:
        read(root, scheme)
    (example,) = re.findall("{.*}", str(raised.value))
    described = yaml.safe_load(example)
    assert described["kpt_shape"] == [5, 3]
    assert described["names"] == ["class0", "class1", "class2"]
    (root / "data.yaml").write_text(example)
    splits = read(root, replace(scheme, classes=("class0", "class2"))).splits
    assert {split: len(images) for split, images in splits.items()} == {"train": 3, "val": 2}


@pytest.mark.parametrize(
    ("points", "shape"),
    [("0.1 0.2 0.3 0.4 0.5 0.6", [3, 2]), ("0.1 0.2 2 0.3 0.4 1", [2, 3]), ("0.1 0.2", [1, 2])],
)
def test_the_shape_is_guessed_from_the_labels(make_yolo, scheme, points, shape):
    root = make_yolo()
    (root / "data.yaml").unlink()
    for path in root.rglob("*.txt"):
        path.write_text(f"0 0.5 0.5 0.8 0.6 {points}\n")
    with pytest.raises(FileNotFoundError, match=re.escape(f"kpt_shape: {shape}")):
        read(root, scheme)


def test_another_yaml_is_taken_where_it_is_the_only_one(make_yolo, scheme):
    root = make_yolo()
    (root / "data.yaml").rename(root / "horses.yaml")
    assert read(root, scheme).splits.keys() == {"train", "val"}
    (root / "more.yml").write_text("a: 1")
    with pytest.raises(FileNotFoundError, match="give one of horses.yaml, more.yml instead"):
        read(root, scheme)


def ultralytics(root, lists=None, **changes):
    """A folder as Ultralytics has it, ``images/train/…`` and ``labels/train/…``, or as CVAT."""
    (root / "images").mkdir()
    (root / "labels").mkdir()
    for split, old in (("train", "train"), ("val", "valid")):
        for kind in ("images", "labels"):
            (root / old / kind).rename(root / kind / split)
    content = {"path": ".", "train": "images/train", "val": "images/val", **changes}
    description = yaml.safe_load((root / "data.yaml").read_text()) | content
    del description["test"]
    (root / "data.yaml").write_text(yaml.safe_dump(description))
    return root


def files_of(root, split, prefix=""):
    files = sorted((root / "images" / split).rglob("*.jpg"))
    return [prefix + str(path.relative_to(root)) for path in files]


@pytest.mark.parametrize(
    ("entry", "beside"),
    [
        pytest.param("train.txt", "", id="from the list, as CVAT writes"),
        pytest.param("train.txt", "./", id="from the list, as Ultralytics writes"),
        pytest.param("train.txt", "data/", id="from a folder above, as older CVAT writes"),
        pytest.param("train.txt", "/content/drive/horses/", id="of another machine"),
        pytest.param("train.txt", "C:\\horses\\", id="of Windows"),
        pytest.param(["train.txt"], "", id="a list of lists"),
        pytest.param(None, "", id="a list of images"),
    ],
)
def test_entries_may_be_lists_of_images(make_yolo, scheme, entry, beside):
    root = ultralytics(make_yolo())
    names = files_of(root, "train", beside)
    (root / "train.txt").write_text("\n".join(names) + "\n")
    ultra = yaml.safe_load((root / "data.yaml").read_text()) | {"train": entry or names}
    (root / "data.yaml").write_text(yaml.safe_dump(ultra))
    images = read(root, scheme).splits["train"]
    assert [image.file_name for image in images] == [
        f"train{number}_jpg.rf.000{number}.jpg" for number in range(3)
    ]
    assert [len(image.instances) for image in images] == [1, 1, 1]


def test_labels_without_their_images_find_them_elsewhere(make_yolo, scheme, tmp_path):
    """CVAT exports without images unless asked."""
    root = ultralytics(make_yolo(), train="train.txt", val="val.txt")
    for split in ("train", "val"):
        (root / f"{split}.txt").write_text("\n".join(files_of(root, split)))
    (root / "images").rename(tmp_path / "elsewhere")
    missing = read(root, scheme)
    assert not any(image.exists for image in missing.images())
    dataset = read(root, scheme, tmp_path / "elsewhere")
    assert [len(image.instances) for image in dataset.splits["train"]] == [1, 1, 1]
    assert all(image.exists for image in dataset.images())


def test_folders_are_walked_whole(make_yolo, scheme, tmp_path):
    """With links and without hidden files, as Ultralytics globs; names keep their folders."""
    root = ultralytics(make_yolo())
    for kind, suffix in (("images", "jpg"), ("labels", "txt")):
        deep = root / kind / "train/a/b"
        deep.mkdir(parents=True)
        moved = root / kind / f"train/train0_jpg.rf.0000.{suffix}"
        moved.rename(deep / f"train0_jpg.rf.0000.{suffix}")
    disk = tmp_path / "disk"
    (root / "images/train/a/b").rename(disk)
    (root / "images/train/a/b").symlink_to(disk)
    (root / "images/train/a/up").symlink_to(root / "images/train")
    (root / "images/train/._train1.jpg").write_bytes(b"not an image")
    images = read(root, scheme).splits["train"]
    assert [image.file_name for image in images] == [
        "a/b/train0_jpg.rf.0000.jpg",
        "train1_jpg.rf.0001.jpg",
        "train2_jpg.rf.0002.jpg",
    ]
    assert [len(image.instances) for image in images] == [1, 1, 1]


def test_the_same_folder_for_two_splits_is_one(make_yolo, scheme):
    """Ultralytics asks for a val, and whoever has none names train again."""
    dataset = read(ultralytics(make_yolo(), val="images/train"), scheme)
    assert {split: len(images) for split, images in dataset.splits.items()} == {"train": 3}
    assert "train and val have the same images, read as train" in dataset.notes


def test_splits_without_a_single_label_file_are_refused(make_yolo, scheme):
    root = ultralytics(make_yolo())
    (root / "labels/train").rename(root / "labels/training")
    with pytest.raises(FileNotFoundError, match="none of the 3 images .*looked for .*labels/tr"):
        read(root, scheme)


@pytest.mark.parametrize("key", ["kpt_shape", "train", "flip_idx", "names", "kpt_names"])
def test_references_that_multiply_are_one_short_sentence(make_yolo, scheme, key):
    """Nine lists of nine, thirty deep, are no more memory than a page; written out, all of it."""
    root = make_yolo()
    lists = "\n".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, 30))
    text = (root / "data.yaml").read_text()
    content = re.sub(rf"^{key}:.*\n(- .*\n)*", "", text, flags=re.MULTILINE)
    (root / "data.yaml").write_text(f"x0: &x0 [1]\n{lists}\n{content}{key}: *x29\n")
    unnamed = replace(scheme, keypoints=()) if key == "kpt_names" else scheme
    if key == "flip_idx":
        assert max(map(len, read(root, unnamed).notes)) < 5000
        return
    with pytest.raises(ValueError, match=r"data\.yaml") as raised:
        read(root, unnamed)
    assert len(str(raised.value)) < 5000


def test_labels_are_read_in_the_encodings_of_editors(make_yolo, scheme):
    root = make_yolo()
    first_label(root).write_text(LINE, encoding="utf-16")
    assert len(read(root, scheme).splits["train"][0].instances) == 1


def test_a_flip_that_names_do_not_tell_is_kept(make_yolo, scheme):
    unsaid = replace(scheme, keypoints=tuple("abcde"), mapping={})
    assert read(make_yolo(flip_idx=[1, 0, 2, 4, 3]), unsaid).flip_idx == (1, 0, 2, 4, 3)
    for index, wrong in enumerate(([1, 2, 0, 3, 4], [1, 0], "off", {"a": 1}, [0, 1, 2, 3, 9])):
        dataset = read(make_yolo(flip_idx=wrong, name=f"w{index}"), unsaid)
        assert dataset.flip_idx == ()
        assert any("flip_idx of data.yaml is wrong" in note for note in dataset.notes)


def test_an_image_whose_name_is_no_text_is_said(make_yolo, scheme):
    """Latin-1 on a disk of UTF-8, as after a move from another system."""
    root = make_yolo()
    path = next((root / "train/images").iterdir())
    os.rename(path, os.fsencode(path.parent) + b"/\xe9.jpg")
    with pytest.raises(ValueError, match=r"'\\udce9.jpg'"):
        read_source("yolo-pose", root, scheme, Reading())
