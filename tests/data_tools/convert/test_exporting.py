"""From COCO to a format and back: what the table of formats promises is kept, and only that."""

import json
import pkgutil
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from equikpt.core.label_studio import read_tasks
from equikpt.data_tools.convert import FORMATS, KEPT, writable, writer
from equikpt.data_tools.convert.conversion import convert, export
from equikpt.data_tools.convert.reading import Reading, read_source
from equikpt.data_tools.convert.schemes import NO_SCHEME, KeypointScheme
from tests.data_tools.convert.conftest import contents, edit, tree, write_coco

NAMES = ("nose", "l_ear", "r_ear", "withers")
FORMATS_WRITTEN = writable()
# Written without images, which the labelling tool has.
IMAGES_APART = ("cvat", "label-studio", "dlc")


def animals(root: Path) -> dict[str, list[dict]]:
    """Annotations by the bare name of their image, whatever the split."""
    return {
        Path(image["file_name"]).name: [
            row for row in content["annotations"] if row["image_id"] == image["id"]
        ]
        for content in contents(root).values()
        for image in content["images"]
    }


def points(row: dict) -> np.ndarray:
    return np.array(row["keypoints"], dtype=float).reshape(-1, 3)


@pytest.fixture(scope="module", params=FORMATS_WRITTEN)
def there_and_back(request, tmp_path_factory):
    """(format, COCO before, COCO after): COCO to the format and from it back to COCO."""
    folder = tmp_path_factory.mktemp("round")
    source = folder / "source"
    write_coco(source, NAMES)
    before, between, after = (folder / name for name in ("before", "between", "after"))
    convert("coco", source, before, target_name="coco")
    export("coco", before, between, request.param)
    images = None
    if request.param in IMAGES_APART:
        images = folder / "images"
        images.mkdir()
        for path in before.glob("images/*/*"):
            shutil.copy(path, images)
    convert(request.param, between, after, target_name="coco", reading=Reading(images=images))
    return request.param, before, after


def test_images_animals_and_points_survive(there_and_back):
    _, before, after = there_and_back
    first, second = animals(before), animals(after)
    assert first.keys() == second.keys()
    for name in first:
        assert len(first[name]) == len(second[name]), name
        for row, again in zip(first[name], second[name], strict=True):
            labelled = points(row)[:, 2] > 0
            assert (labelled == (points(again)[:, 2] > 0)).all()
            np.testing.assert_allclose(points(row)[:, :2], points(again)[:, :2], atol=2e-3)


def survives(column: str, before: Path, after: Path) -> bool:
    """Compare a column of the table of formats on both sides."""
    first, second = animals(before), animals(after)
    rows = [
        (row, again) for name in first for row, again in zip(first[name], second[name], strict=True)
    ]
    if column == "names":
        names = [contents(root)["train"]["categories"][0]["keypoints"] for root in (before, after)]
        return names[0] == names[1]
    if column == "hidden":
        return all((points(row)[:, 2] == points(again)[:, 2]).all() for row, again in rows)
    if column == "boxes":
        return all(np.allclose(row["bbox"], again["bbox"], atol=2e-3) for row, again in rows)
    if column == "animals":
        return max(map(len, second.values())) == max(map(len, first.values()))
    return contents(before).keys() == contents(after).keys()


@pytest.mark.parametrize("column", [name for name in KEPT if name != "scores"])
def test_the_table_tells_what_survives(there_and_back, column):
    format_name, before, after = there_and_back
    # YOLO-pose has names where data.yaml names them, as this package writes it.
    promised = getattr(FORMATS[format_name], column) or (format_name, column) == (
        "yolo-pose",
        "names",
    )
    assert survives(column, before, after) is promised


@pytest.fixture
def predicted(make_coco, tmp_path):
    """Arguments that export predictions on the two images of val."""
    root = make_coco(names=("nose", "tail"), animals=1)
    rows = [
        {"image_id": 1, "category_id": 1, "keypoints": [5, 6, 0.9, 7, 8, 0.1], "score": 0.8},
        {"image_id": 2, "category_id": 1, "keypoints": [9, 9, 0.5, 20, 30, 0.75], "score": 0.4},
    ]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(rows))
    return root / "annotations/val.json", Reading(predictions=path)


@pytest.mark.parametrize("format_name", FORMATS_WRITTEN)
def test_predictions_go_back_with_the_scores_that_the_table_promises(
    predicted, tmp_path, format_name
):
    source, reading = predicted
    output = tmp_path / "out"
    lines = export("coco", source, output, format_name, reading=reading).lines
    row = FORMATS[format_name]
    read = pkgutil.resolve_name(row.read_scored or row.read)(
        output, KeypointScheme(("nose", "tail"), {})
    )
    found = {
        Path(image.file_name).name: image.instances[0].keypoints.tolist() for image in read.images()
    }
    assert found["val_1.png"] == [pytest.approx([5, 6, 2]), [0, 0, 0]]
    assert found["val_2.png"] == [pytest.approx([9, 9, 2]), pytest.approx([20, 30, 2])]
    scores = [image.instances[0].scores for image in read.images()]
    if row.scores:
        np.testing.assert_allclose(scores, [[0.9, 0], [0.5, 0.75]])
    else:
        assert scores == [None, None]
    assert any("scores" in line for line in lines if line.startswith("lost")) is not row.scores


def test_predictions_are_pre_annotations_in_label_studio(predicted, tmp_path):
    source, reading = predicted
    export("coco", source, tmp_path / "out", "label-studio", reading=reading)
    first, _ = json.loads((tmp_path / "out/tasks.json").read_text())
    assert first["annotations"] == []
    (prediction,) = first["predictions"]
    assert prediction["score"] == 0.8
    box, nose = prediction["result"]
    assert (box["type"], nose["parentID"], nose["score"]) == ("rectanglelabels", box["id"], 0.9)
    assert first["data"]["image"] == "/data/local-files/?d=val_1.png"
    interface = (tmp_path / "out/labeling_interface.xml").read_text()
    for name in ("keypoints", "boxes", "nose", "tail", "horse"):
        assert f'"{name}"' in interface


def test_label_studio_reads_what_is_written_for_it(make_coco, tmp_path):
    """By the reader of the training data."""
    root = make_coco(names=("p1", "p2"), animals=1)
    options = writer.Options(image_prefix="/data/upload/3/")
    export("coco", root, tmp_path / "out", "label-studio", options=options)
    tasks = read_tasks(tmp_path / "out/tasks.json")
    assert [task.file_name for task in tasks][:2] == ["train_1.png", "train_2.png"]
    rows = contents(root)["train"]["annotations"]
    x, y, _ = rows[0]["keypoints"][:3]
    assert tasks[0].points["p1"] == (pytest.approx((2 * x, 2.5 * y)),)
    assert tasks[1].points == {}


def test_deeplabcut_gets_a_table_in_each_folder(make_coco, tmp_path):
    export("coco", make_coco(names=NAMES), tmp_path / "out", "dlc")
    tables = sorted((tmp_path / "out").rglob("*.csv"))
    assert [str(path.relative_to(tmp_path / "out")) for path in tables] == [
        f"labeled-data/{split}/CollectedData_equikpt.csv" for split in ("train", "val")
    ]
    head = tables[0].read_text().splitlines()[:4]
    assert [line.split(",")[0] for line in head] == ["scorer", "individuals", "bodyparts", "coords"]
    table = pd.read_csv(tables[0], header=[0, 1, 2, 3], index_col=0)
    assert table.index.tolist() == [f"labeled-data/train/train_{n}.png" for n in (1, 2, 3)]
    assert table.iloc[1].isna().all()


def test_yolo_trains_with_the_right_flip(make_coco, tmp_path):
    export("coco", make_coco(names=NAMES), tmp_path / "out", "yolo-pose")
    description = yaml.safe_load((tmp_path / "out/data.yaml").read_text())
    assert description["flip_idx"] == [0, 2, 1, 3]
    assert description["kpt_shape"] == [4, 3]
    assert description["names"] == {0: "horse"}
    assert (tmp_path / "out/labels/train/train_2.txt").read_text() == ""


@pytest.mark.parametrize("only", ["train", "val", "test"])
def test_ultralytics_accepts_the_description_of_one_split(make_coco, tmp_path, only):
    """It asks for train and val (``check_det_dataset``); read back, there is still one."""
    output = tmp_path / "out"
    source = make_coco(names=NAMES) / "annotations/train.json"
    lines = export("coco", source, output, "yolo-pose", reading=Reading(split=only)).lines
    description = yaml.safe_load((output / "data.yaml").read_text())
    assert {"train", "val"} <= description.keys()
    for split in {"train", "val", "test"} & description.keys():
        assert (output / description[split]).is_dir()
    assert sum("which Ultralytics asks for" in line for line in lines) == (
        2 if only == "test" else 1
    )
    read = read_source("yolo-pose", output, NO_SCHEME, Reading())
    assert list(read.splits) == [only]


def test_a_stated_flip_goes_into_the_description(make_coco, tmp_path):
    """Given by the user, and kept by a second way through the format."""
    mapping = tmp_path / "flip.yaml"
    names = ("A1", "A6", "A6_1", "A7")
    mapping.write_text(
        "mapping: {A6: A6, A1: A1, A6_1: A6_1}\nflip_idx: [0, 2, 1, 3]\n"
        f"keypoints: [{', '.join(names)}]\n"
    )
    first, second = tmp_path / "first", tmp_path / "second"
    export("coco", make_coco(names=names), first, "yolo-pose", mapping=str(mapping))
    export("yolo-pose", first, second, "yolo-pose")
    for folder in (first, second):
        description = yaml.safe_load((folder / "data.yaml").read_text())
        place = description["kpt_names"][0].index
        assert description["flip_idx"][place("A6")] == place("A6_1")
        assert description["flip_idx"][place("A1")] == place("A1")


@pytest.mark.parametrize(
    ("name", "said"),
    [("train_1.bmp", "would have one label file"), ("train_2.tga", "Ultralytics does not read")],
)
def test_images_that_ultralytics_would_mix_up_are_refused(make_coco, tmp_path, name, said):
    root = make_coco(names=NAMES)
    edit(root, lambda content: content["images"][1].update(file_name=name))
    (root / "images/train/train_2.png").rename(root / "images/train" / name)
    with pytest.raises(ValueError, match=said):
        export("coco", root, tmp_path / "out", "yolo-pose")
    assert tree(tmp_path / "out") == {}


def test_names_may_be_given(make_coco, tmp_path):
    mapping = tmp_path / "names.yaml"
    mapping.write_text("mapping: {nose: muzzle, l_ear: left ear}\n")
    lines = export(
        "coco", make_coco(names=NAMES), tmp_path / "out", "cvat", mapping=str(mapping)
    ).lines
    assert "of the source, not used: r_ear, withers" in lines
    text = (tmp_path / "out/annotations.xml").read_text()
    assert 'label="left ear"' in text
    assert "withers" not in text


def test_crowds_are_left_out_and_losses_told(make_coco, tmp_path):
    root = make_coco(names=NAMES)

    def change(content):
        content["annotations"][0] |= {"iscrowd": 1}
        content["annotations"][1] |= {"segmentation": [[1, 2, 3, 4, 5, 6]]}

    edit(root, change)
    lines = export("coco", root, tmp_path / "out", "label-studio").lines
    assert "note: 1 crowds left out" in lines
    assert "lost in label-studio: hidden points (written as seen), splits, outlines" in lines
    assert "all: 5 images, 7 animals, 24 points" in lines


@pytest.mark.parametrize("format_name", FORMATS_WRITTEN)
def test_nothing_is_overwritten_without_force(make_coco, tmp_path, format_name):
    root, output = make_coco(names=NAMES), tmp_path / "out"
    lines = export("coco", root, output, format_name, dry_run=True)
    assert "nothing written" in lines[-1]
    assert not output.exists()
    export("coco", root, output, format_name)
    (output / "mine.txt").write_text("mine")
    before = tree(output)
    with pytest.raises(FileExistsError):
        export("coco", make_coco(names=NAMES[:3], name="other"), output, format_name)
    assert tree(output) == before
    export("coco", root, output, format_name, overwrite=True)
    after = tree(output)
    assert after.keys() == before.keys()
    assert not (output / writer.STAGING).exists()


def test_images_of_a_project_are_never_removed(make_coco, tmp_path):
    output = tmp_path / "project"
    output.mkdir()
    (output / "config.yaml").write_text("scorer: somebody\n")
    image = output / "labeled-data/train/train_1.png"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"mine")
    export("coco", make_coco(names=NAMES), output, "dlc", overwrite=True)
    assert image.read_bytes() == b"mine"


@pytest.mark.parametrize("format_name", FORMATS_WRITTEN)
def test_what_does_not_read_back_is_not_kept(make_coco, tmp_path, monkeypatch, format_name):
    """A writer that moves a point by a pixel."""
    module, function = FORMATS[format_name].write.split(":")
    written_by = pkgutil.resolve_name(f"{module}:{function}")

    def moved(image):
        return image.having(
            replace(item, keypoints=item.keypoints + (1, 0, 0)) for item in image.instances
        )

    def careless(folder, dataset, options):
        written = written_by(folder, dataset, options)
        written.splits = {split: list(map(moved, rows)) for split, rows in written.splits.items()}
        return written

    monkeypatch.setattr(pkgutil.resolve_name(module), function, careless)
    with pytest.raises(ValueError, match="do not read back as they were"):
        export("coco", make_coco(names=NAMES), tmp_path / "out", format_name)
    assert tree(tmp_path / "out") == {}


@pytest.mark.parametrize(
    ("to", "options", "said"),
    [
        ("sleap", {}, "no format 'sleap' to write"),
        ("cvat", {"options": writer.Options(link=True)}, "link does not go with cvat"),
        ("dlc", {"options": writer.Options(image_prefix="x")}, "image_prefix does not go with"),
        ("dlc", {"reading": Reading(min_score=0.5)}, "min_score is for predictions"),
        ("dlc", {"reading": Reading(split="test")}, "split 'test' is for a source with one"),
        ("dlc", {"reading": Reading(split="all")}, "no split 'all'"),
        ("dlc", {"reading": Reading(classes=("cow",))}, "no animal of class 'cow'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_options_that_have_no_use_are_refused(make_coco, tmp_path, to, options, said):
    with pytest.raises(ValueError, match=said):
        export("coco", make_coco(), tmp_path / "out", to, **options)


def test_predictions_belong_to_one_format_and_images_to_a_folder(make_yolo, tmp_path):
    scheme = KeypointScheme(tuple("abcde"), {})
    with pytest.raises(ValueError, match="predictions go with the format coco"):
        read_source("yolo-pose", make_yolo(), scheme, Reading(predictions=Path("a.json")))
    with pytest.raises(FileNotFoundError):
        read_source("coco", make_yolo(name="c"), NO_SCHEME, Reading(images=tmp_path / "none"))


# --- real labels ---


def test_real_yolo_labels_survive(real_data, tmp_path):
    """The 93 images of valid: YOLO to COCO to YOLO to COCO."""
    source = tmp_path / "source"
    shutil.copytree(real_data / "horses16/valid", source / "valid")
    description = yaml.safe_load((real_data / "horses16/data.yaml").read_text())
    description["val"] = "valid/images"
    del description["train"], description["test"]
    (source / "data.yaml").write_text(yaml.safe_dump(description))
    convert("yolo-pose", source, tmp_path / "a", mapping="horses16", target_name="coco", link=True)
    export(
        "coco", tmp_path / "a", tmp_path / "yolo", "yolo-pose", options=writer.Options(link=True)
    )
    convert("yolo-pose", tmp_path / "yolo", tmp_path / "b", target_name="coco", link=True)
    first, second = (contents(tmp_path / name)["val"] for name in "ab")
    assert len(first["annotations"]) == 93
    assert first["categories"] == second["categories"]
    for row, again in zip(first["annotations"], second["annotations"], strict=True):
        np.testing.assert_allclose(row["keypoints"], again["keypoints"], atol=1.1e-3)
        np.testing.assert_allclose(row["bbox"], again["bbox"], atol=1.1e-3)


def test_real_deeplabcut_labels_survive(real_data, tmp_path):
    """csv to COCO to csv, cell by cell."""
    source = real_data / "dlc_mouse/CollectedData.csv"
    convert("dlc", source, tmp_path / "a", target_name="coco", link=True)
    export("coco", tmp_path / "a", tmp_path / "b", "dlc")
    before = pd.read_csv(source, header=[0, 1, 2], index_col=0)
    after = pd.read_csv(
        tmp_path / "b/labeled-data/CollectedData_equikpt.csv", header=[0, 1, 2], index_col=0
    )
    assert before.index.tolist() == after.index.tolist()
    assert before.columns.droplevel(0).tolist() == after.columns.droplevel(0).tolist()
    np.testing.assert_allclose(before.to_numpy(), after.to_numpy(), atol=1e-3)
    assert int(np.isnan(after.to_numpy()).sum()) == int(before.isna().to_numpy().sum()) > 0


def test_a_real_label_studio_export_survives(real_data, tmp_path):
    """JSON to COCO to JSON, without the images, in percent."""
    (source,) = (real_data / "aariz_labels").glob("project-6-*.json")
    convert("label-studio", source, tmp_path / "a", target_name="p1p2", labels_only=True)
    export("coco", tmp_path / "a", tmp_path / "b", "label-studio")
    before, after = read_tasks(source), read_tasks(tmp_path / "b/tasks.json")
    assert len(before) == len(after) == 18
    for task, again in zip(before, after, strict=True):
        assert (task.file_name, task.size_px) == (again.file_name, again.size_px)
        assert task.points.keys() == again.points.keys()
        for name, found in task.points.items():
            assert again.points[name] == (pytest.approx(found[0], abs=1e-4),)


def test_labels_without_sizes_or_images_say_so(real_data, tmp_path):
    source = real_data / "aariz_labels/annotations_p1_p2.json"
    with pytest.raises(FileNotFoundError):
        convert("label-studio", source, tmp_path / "a", target_name="p1p2", labels_only=True)
