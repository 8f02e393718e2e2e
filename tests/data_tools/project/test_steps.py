from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from equikpt.data_tools.project import folder as folder_module
from equikpt.data_tools.project import steps
from equikpt.data_tools.project.folder import STATE
from equikpt.metainfo import read_keypoint_set
from equikpt_runtime import files

MADE = {"config.py", "keypoints.py", "keypoints.png", "README.md"}
LABELS = {"data/annotations/train.json", "data/annotations/val.json"}


def tree(root: Path) -> dict[str, bytes]:
    """Content of each file but the record."""
    files = (path for path in root.rglob("*") if path.is_file())
    names = {path.relative_to(root).as_posix(): path for path in files}
    return {n: path.read_bytes() for n, path in names.items() if not n.startswith(STATE.name)}


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "cat"


def test_an_export_becomes_a_project(make, root):
    lines = make()
    assert [line[:3] for line in lines if line[0] != " "] == [f"{n}/7" for n in range(1, 8)]
    files = tree(root)
    assert {name for name in files if "images" not in name} == MADE | LABELS
    content = {name: json.loads(files[name]) for name in LABELS}
    images = [image for each in content.values() for image in each["images"]]
    assert len(images) == 12
    for name, each in content.items():
        part = root / "data/images" / Path(name).stem
        assert {path.name for path in part.iterdir()} == {i["file_name"] for i in each["images"]}
    metainfo = read_keypoint_set(root / "keypoints.py")
    assert metainfo["dataset_name"] == "cat"
    assert metainfo["keypoint_info"][1]["swap"] == "Ohr_re"
    assert [row["link"] for row in metainfo["skeleton_info"].values()][-1] == ("Nase", "Schwanz")
    assert metainfo["sigmas_source"]
    assert cv2.imread(str(root / "keypoints.png")).size
    assert "equikpt train ." in (root / "README.md").read_text()
    assert not (root / STATE / "converted").exists()


def test_what_is_done_is_kept(make, root):
    make()
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    lines = make(input=None)
    assert sum("kept" in line for line in lines) == 6  # sigmas are read from the file
    del before[root / STATE / "record.json"]
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())


def test_a_run_that_was_killed_is_gone_on_with(make, root, tmp_path, monkeypatch):
    """Whatever write it was killed at: the project is that of an undisturbed run."""
    monkeypatch.setattr(steps, "draw_keypoint_set", lambda *_: np.zeros((4, 4, 3), np.uint8))
    monkeypatch.setattr(steps.labels, "check_labels", lambda _: ["nothing"])
    make(root=tmp_path / "whole/cat")
    write, calls = files.write_bytes, [0]

    def killed_at(number: int):
        def write_or_die(path, content):
            calls[0] += 1
            if calls[0] == number:
                raise KeyboardInterrupt
            write(path, content)

        return write_or_die

    number, killed = 1, True
    while killed:
        calls[0] = 0
        target = tmp_path / f"killed{number}/cat"
        for module in (files, folder_module):
            monkeypatch.setattr(module, "write_bytes", killed_at(number))
        try:
            make(root=target)
            killed = False
        except KeyboardInterrupt:
            for module in (files, folder_module):
                monkeypatch.setattr(module, "write_bytes", write)
            make(root=target)
        assert tree(target) == tree(tmp_path / "whole/cat"), number
        number += 1
    assert number > 8


def test_overwrite_makes_anew_what_nobody_edited(make, root, export):
    make()
    (export / "labels.json").write_text(
        (export / "labels.json").read_text().replace("Nase", "Maul")
    )
    set_file = root / "keypoints.py"
    make(overwrite=True)
    assert "Maul" in set_file.read_text()
    edited = (
        set_file.read_text().replace("swap='Ohr_re'", "swap=''").replace("swap='Ohr_li'", "swap=''")
    )
    set_file.write_text(edited)
    drawn = (root / "keypoints.png").read_bytes()
    lines = make(overwrite=True, minutes=1.0)
    assert set_file.read_text() == edited
    assert any("edited since" in line for line in lines)
    assert (root / "keypoints.png").read_bytes() != drawn


def test_edited_labels_stay(make, root, export):
    make()
    path = root / "data/annotations/val.json"
    text = path.read_text().replace('"Katze"', '"Kater"')
    path.write_text(text)
    lines = make(overwrite=True)
    assert path.read_text() == text
    assert lines[2].startswith("3/7 parts     kept, edited since")
    for file in export.rglob("*.*"):
        file.unlink()
    make(overwrite=True)  # the export is not needed


def test_groups_of_the_split_are_those_of_the_radii(make, root):
    make(group_regex=r"cat_(\d)")
    assert 'grouped = dict(group_key="group")' in (root / "config.py").read_text()
    said = (root / "README.md").read_text()
    assert re.search(r"\| groups \| \d groups? in val \| .* a radius of 90 % needs 9 of them", said)


def test_without_groups_the_config_has_none(make, root):
    make()
    assert "group" not in (root / "config.py").read_text()


def test_measured_sigmas_are_no_guess_in_the_readme(make, root, tmp_path):
    make()
    assert "They are a guess" in (root / "README.md").read_text()
    text = (root / "keypoints.py").read_text()
    given = tmp_path / "set.py"
    measured = '    sigmas_source="measured on 20 images",\n    sigmas=['
    given.write_text(
        re.sub(r"    sigmas_source=.*\n    sigmas=\[", measured, text, flags=re.DOTALL)
    )
    make(root=tmp_path / "again", keypoints=str(given))
    assert "They are measured" in (tmp_path / "again/README.md").read_text()


def test_a_given_set_counts(make, root, tmp_path):
    given = tmp_path / "set.yaml"
    given.write_text(
        "mapping: {Schwanz: tail, Nase: nose, Ohr_re: a, Ohr_li: b}\n"
        "skeleton: [[nose, tail]]\nflip_pairs: [[a, b]]\n"
    )
    make(keypoints=str(given), name="Meine Katze")
    info = read_keypoint_set(root / "keypoints.py")
    assert [row["name"] for row in info["keypoint_info"].values()] == ["tail", "nose", "a", "b"]
    assert info["keypoint_info"][2]["swap"] == "b"
    assert info["dataset_name"] == "meine_katze"
    other = tmp_path / "other"
    labels = json.loads((root / "data/annotations/train.json").read_text())
    assert labels["categories"][0]["keypoints"][0] == "tail"
    # and the set of one project in another
    make(root=other, input=str(root / "data"), keypoints=str(root / "keypoints.py"))
    assert (other / "keypoints.py").read_bytes() == (root / "keypoints.py").read_bytes()


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (dict(input=None), ValueError),
        (dict(input="absent.zip"), FileNotFoundError),
        (dict(classes=["Hund"]), ValueError),
        (dict(keypoints="absent.yaml"), FileNotFoundError),
        (dict(split=[0.5, 0.9]), ValueError),
        (dict(group_regex="(x"), ValueError),
        (dict(format_name="cvat"), FileNotFoundError),
    ],
    ids=str,
)
def test_a_wrong_call_is_a_sentence(make, given, kind):
    with pytest.raises(kind):
        make(**given)


@pytest.mark.parametrize(
    "text", ["", "names: [a]", "keypoints: nose", "flip_pairs: [[a, b, c]]", "skeleton: [[1, 2]]"]
)
def test_a_file_that_is_no_set_is_refused(make, tmp_path, text):
    (tmp_path / "set.yaml").write_text(text)
    with pytest.raises(ValueError, match="set.yaml"):
        make(keypoints=str(tmp_path / "set.yaml"))


def test_several_classes_ask_which(make, export):
    content = json.loads((export / "labels.json").read_text())
    content["categories"].append({**content["categories"][0], "id": 2, "name": "Hund"})
    content["annotations"][0]["category_id"] = 2
    (export / "labels.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="Hund, Katze"):
        make()
    make(classes=["Hund", "Katze"])


def test_points_without_names_are_numbered(make, root, export):
    content = json.loads((export / "labels.json").read_text())
    del content["categories"][0]["keypoints"]
    (export / "labels.json").write_text(json.dumps(content))
    make()
    info = read_keypoint_set(root / "keypoints.py")["keypoint_info"]
    assert [row["name"] for row in info.values()] == [f"point_{index}" for index in range(4)]


def test_labels_of_other_points_than_the_set_are_refused(make, root):
    make()
    text = (root / "keypoints.py").read_text()
    (root / "keypoints.py").write_text(text.replace("Schwanz", "Tail"))
    with pytest.raises(ValueError, match="Schwanz"):
        make(overwrite=True)
