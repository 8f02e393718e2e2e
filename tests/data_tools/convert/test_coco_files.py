"""AP-10K, AnimalPose and Horse-10 with real images of each; files of a folder; results."""

import json
import shutil

import numpy as np
import pytest

from equikpt.data_tools.convert.coco_files import (
    annotation_files,
    read,
    read_animalpose,
    read_ap10k,
    read_horse10,
    read_predictions,
)
from equikpt.data_tools.convert.conversion import convert
from equikpt.data_tools.convert.reading import Reading
from equikpt.data_tools.convert.schemes import NO_SCHEME
from equikpt.data_tools.convert.targets import find_target
from equikpt.metainfo import correspondence
from tests.data_tools.convert.conftest import contents, edit

HORSE26 = find_target("horse26").names


def points(annotation: dict) -> np.ndarray:
    return np.array(annotation["keypoints"], dtype=float).reshape(-1, 3)


def test_of_ap10k_the_first_split_is_taken(make_coco):
    root = make_coco(names=correspondence.AP10K_FILE_NAMES)
    for path in sorted((root / "annotations").glob("*.json")):
        for number in (1, 2, 3):
            path.with_name(f"ap10k-{path.stem}-split{number}.json").write_text(path.read_text())
    (root / "images").rename(root / "data")
    for path in sorted((root / "data").rglob("*.png")):
        path.rename(root / "data" / path.name)
    dataset = read_ap10k(root, NO_SCHEME)
    assert [len(images) for images in dataset.splits.values()] == [3, 2]
    assert all(image.exists for image in dataset.images())
    assert dataset.notes == ["of AP-10K's three splits the first is taken"]


def test_the_own_file_of_animalpose(make_coco):
    """Names by id, boxes as two corners, nested keypoints whose visibility is 0 or 1."""
    root = make_coco(names=correspondence.ANIMALPOSE)
    content = contents(root)["train"]
    expected = read_horse10(root / "annotations/train.json", NO_SCHEME)
    rows = []
    for row in content["annotations"]:
        x, y, width, height = row["bbox"]
        nested = [[x, y, int(v > 0)] for x, y, v in points(row).tolist()]
        ids = {"image_id": row["image_id"], "category_id": 1}
        rows.append({**ids, "bbox": [x, y, x + width, y + height], "keypoints": nested})
    names = {str(row["id"]): row["file_name"] for row in content["images"]}
    own = {"images": names, "annotations": rows, "categories": content["categories"]}
    (root / "train.json").write_text(json.dumps(own))
    dataset = read_animalpose(root / "train.json", NO_SCHEME)
    for image, other in zip(dataset.images(), expected.images(), strict=True):
        assert image.file_name == other.file_name
        assert (image.width, image.height) == (other.width, other.height)
        for instance, right in zip(image.instances, other.instances, strict=True):
            assert instance.box_px == pytest.approx(right.box_px)
            np.testing.assert_array_equal(instance.labelled, right.labelled)
            assert set(instance.keypoints[:, 2]) <= {0, 2}
    (root / "train.json").write_text("{}")
    with pytest.raises(ValueError, match="lacks one of images"):
        read_animalpose(root / "train.json", NO_SCHEME)


@pytest.mark.parametrize(
    ("name", "classes", "own"),
    [
        ("ap10k", ("antelope",), correspondence.AP10K),
        ("animalpose", (), correspondence.ANIMALPOSE),
        ("horse10", (), correspondence.HORSE10),
    ],
)
def test_real_samples_have_the_numbers_of_their_files(real_data, tmp_path, name, classes, own):
    """Each point of the output stands in the source's file, as the table of names says."""
    path = real_data / "mmpose_samples" / name / f"test_{name}.json"
    reading = Reading(classes=classes, split="train")
    lines = convert(name, path, tmp_path, target_name="horse26", reading=reading).lines
    assert not any("put right" in line for line in lines)
    source, output = json.loads(path.read_text()), contents(tmp_path)["train"]
    file_name = {row["id"]: row["file_name"] for row in output["images"]}
    source_name = {row["id"]: row["file_name"] for row in source["images"]}
    by_name = {source_name[row["image_id"]]: row for row in source["annotations"]}
    assert len(output["annotations"]) == (1 if classes else len(source["annotations"]))
    for row in output["annotations"]:
        original = by_name[file_name[row["image_id"]]]
        assert (row["bbox"], row["area"]) == (original["bbox"], original["area"])
        expected = np.zeros((26, 3))
        for source_point, target in correspondence.mapping(name).items():
            expected[HORSE26.index(target)] = points(original)[own.index(source_point)]
        np.testing.assert_allclose(points(row), expected, atol=1e-3)


def test_a_real_clip_of_horse10_is_put_right(real_data, tmp_path):
    path = real_data / "horse10_sample20/horse.json"
    notes = [f"note: {note}" for note in convert("horse10", path, tmp_path).notes]
    for text in (
        "'horse' stands 143 times",
        "annotation ids repeat, begin at 0",
        "y the bottom",
        "width and height were swapped in the file, put right (142 in all",
        "1 of 142 images are missing on disk",
    ):
        assert sum(text in note for note in notes) == 1, text
    output, source = contents(tmp_path)["train"], json.loads(path.read_text())
    assert {(row["width"], row["height"]) for row in output["images"]} == {(288, 162)}
    assert len(output["annotations"]) == 141
    # The file's boxes are those of its points, which tells where the right ones lie.
    raw = {row["image_id"]: points(row) for row in source["annotations"]}
    ids = {row["file_name"]: row["id"] for row in source["images"]}
    for image, row in zip(output["images"], output["annotations"], strict=True):
        xyv = raw[ids[image["file_name"]]]
        low, high = (edge(xyv[xyv[:, 2] > 0, :2], axis=0) for edge in (np.min, np.max))
        np.testing.assert_allclose(row["bbox"], [*low, *(high - low)], atol=1e-2)


# --- files and their images ---


def test_files_that_are_not_read_are_named(make_coco):
    root = make_coco()
    (root / "annotations/more_horses.json").write_text("{}")
    (note,) = read(root, NO_SCHEME).notes
    assert note.endswith("(more_horses.json)")


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
    with pytest.raises(FileNotFoundError):
        annotation_files(tmp_path)
    for name in ("a_train.json", "b_train.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match="'train'"):
        annotation_files(tmp_path)


def test_images_may_lie_elsewhere(make_coco, tmp_path):
    root = make_coco()
    shutil.move(root / "images", tmp_path / "elsewhere")
    assert not read(root, NO_SCHEME).splits["val"][0].exists
    found = read(root, NO_SCHEME, tmp_path / "elsewhere").splits["val"][0].path
    assert found == tmp_path / "elsewhere/val/val_1.png"


# --- results ---


@pytest.fixture
def gt(make_coco):
    return make_coco(names=("nose", "tail")) / "annotations/val.json"


def results(gt, *rows):
    path = gt.with_name("results.json")
    path.write_text(json.dumps(list(rows)))
    return path


def result(image_id=1, keypoints=(5, 6, 0.9, 7, 8, 0.1), score=0.5, **more) -> dict:
    row = {"image_id": image_id, "category_id": 1, "keypoints": list(keypoints), "score": score}
    return row | more


def test_predictions_stand_instead_of_labels(gt):
    path = results(gt, result(bbox=[1, 2, 30, 20]), result(score=0.25))
    dataset = read_predictions(gt, path, (), min_score=0.3)
    first, second = dataset.splits["val"]
    assert (len(first.instances), len(second.instances)) == (2, 0)
    instance, other = first.instances
    np.testing.assert_array_equal(instance.keypoints, [[5, 6, 2], [0, 0, 0]])
    np.testing.assert_array_equal(instance.scores, [0.9, 0.1])
    assert (instance.score, other.score) == (0.5, 0.25)
    assert (instance.box_px, other.box_px) == ((1, 2, 30, 20), None)
    assert dataset.notes == ["2 predicted points score below 0.3, left out"]
    everything = read_predictions(gt, path, ()).splits["val"][0].instances[0]
    np.testing.assert_array_equal(everything.keypoints, [[5, 6, 2], [7, 8, 2]])


def test_points_that_the_model_does_not_give_are_left_out(gt):
    (instance,) = (
        read_predictions(gt, results(gt, result(keypoints=(0, 0, 0, 7, 8, 0.0))), ())
        .splits["val"][0]
        .instances
    )
    np.testing.assert_array_equal(instance.keypoints, [[0, 0, 0], [7, 8, 2]])


def test_images_need_no_labels(gt):
    edit(gt.parent.parent, lambda content: content.pop("annotations"), "val")
    dataset = read_predictions(gt, results(gt, result(2)), ())
    assert [len(image.instances) for image in dataset.splits["val"]] == [0, 1]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        pytest.param([], "is not a list of COCO results", id="empty"),
        pytest.param([result(99)], "1 images that .* does not list, such as id 99", id="image"),
        pytest.param([result(keypoints=[1, 2])], "no keypoints of x, y, score each", id="pairs"),
        pytest.param([result(keypoints=[1, 2, 0.5])], "3 values for 2 keypoints", id="count"),
    ],
)
def test_other_results_are_refused(gt, rows, said):
    with pytest.raises(ValueError, match=said):
        read_predictions(gt, results(gt, *rows), ())
