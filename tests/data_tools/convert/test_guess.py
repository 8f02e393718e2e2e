from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from equikpt.data_tools.convert.guess import guess_format

COCO = {
    "images": [{"id": 1, "file_name": "a.jpg"}],
    "annotations": [{"id": 1, "keypoints": [1, 2, 2]}],
    "categories": [{"id": 1, "name": "bee", "keypoints": ["head"]}],
}
UNNAMED = {**COCO, "categories": [{"id": 1, "name": "horse"}]}
TASK = [{"id": 1, "data": {"image": "a.jpg"}, "annotations": []}]
POSE, DETECT = "kpt_shape: [3, 3]\nnames: [bee]\n", "names: [bee]\n"
EXPORTS = {
    "cvat": ("cvat", {"annotations.xml": "<annotations/>"}),
    "cvat backup": ("cvat", {"project.json": "{}", "task_0/annotations.json": '[{"shapes": []}]'}),
    "yolo": ("yolo-pose", {"data.yaml": POSE, "train/labels/a.txt": ""}),
    "yolo beside boxes": ("yolo-pose", {"pose.yaml": POSE, "boxes.yaml": DETECT}),
    "label studio": ("label-studio", {"project-1.json": json.dumps(TASK)}),
    "dlc": ("dlc", {"labeled-data/clip/CollectedData_me.h5": "", "config.yaml": "bodyparts: [a]"}),
    "dlc table": ("dlc", {"CollectedData.csv": "scorer,me"}),
    "sleap": ("sleap", {"labels.v001.slp": ""}),
    "coco": ("coco", {"annotations/train.json": json.dumps(COCO), "notes.json": "{}"}),
    "coco of Roboflow": ("coco", {"train/_annotations.coco.json": json.dumps(COCO)}),
    "ap10k": ("ap10k", {"annotations/ap10k-train-split1.json": json.dumps(COCO)}),
    "animalpose": ("animalpose", {"keypoints.json": json.dumps({**COCO, "images": {"1": "a"}})}),
    "horse10": (
        "horse10",
        {"h.json": json.dumps({**UNNAMED, "annotations": [{"keypoints": [0] * 66}]})},
    ),
}


def put(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("form", ["folder", "below", "zip", "zip in a folder"])
@pytest.mark.parametrize(("name", "files"), EXPORTS.values(), ids=EXPORTS)
def test_an_export_shows_its_format(tmp_path, form, name, files):
    folder = put(tmp_path / ("raw/export" if form == "below" else "raw"), files)
    (folder / "read.me").write_text("a word")
    if form.startswith("zip"):
        (tmp_path / "packed").mkdir()
        with zipfile.ZipFile(tmp_path / "packed/export.zip", "w") as archive:
            for file in folder.rglob("*.*"):
                archive.write(file, file.relative_to(folder))
    given = {"zip": "packed/export.zip", "zip in a folder": "packed"}.get(form, "raw")
    guess = guess_format(tmp_path / given)
    assert guess.format_name == name
    assert guess.source.exists()
    assert guess.reason.endswith(f": {name}")


@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        ("a.slp", "", "sleap"),
        ("annotations.xml", "<annotations/>", "cvat"),
        ("table.csv", "scorer,me", "dlc"),
        ("labels.json", json.dumps(COCO), "coco"),
        ("export.json", json.dumps(TASK), "label-studio"),
        ("any.yaml", POSE, "yolo-pose"),
    ],
)
def test_a_file_shows_its_format(tmp_path, file, text, name):
    put(tmp_path, {file: text, "other.slp": ""})
    guess = guess_format(tmp_path / file)
    assert (guess.format_name, guess.source) == (name, tmp_path / file)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"a.jpg": ""},
        {"results.json": '[{"image_id": 1, "category_id": 1, "keypoints": []}]'},
        {"data.yaml": DETECT},
        {"broken.json": "{"},
        {"annotations.xml": "<annotations/>", "data.yaml": POSE},
        {"a.slp": "", "b.slp": ""},
        {"a.zip": "", "b.zip": ""},
    ],
    ids=lambda files: " and ".join(files) or "nothing",
)
def test_what_shows_no_format_or_several_is_refused(tmp_path, files):
    with pytest.raises(ValueError, match="say with --from|give the file"):
        guess_format(put(tmp_path, files))


def test_nothing_is_no_export(tmp_path):
    with pytest.raises(FileNotFoundError):
        guess_format(tmp_path / "absent")
