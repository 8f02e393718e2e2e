from __future__ import annotations

import csv
import json

import pytest

from tests.data_tools.verify.conftest import people


@pytest.fixture
def labels(tmp_path):
    """A sound file, and the same with an area of 0."""
    content = people(8)
    (tmp_path / "sound.json").write_text(json.dumps(content))
    content["annotations"][2]["area"] = 0
    (tmp_path / "spoilt.json").write_text(json.dumps(content))
    return tmp_path


def test_errors_are_told_written_and_the_exit_code_says_so(run_tool, labels):
    outputs = {kind: labels / "out" / f"found.{kind}" for kind in ("json", "csv", "html")}
    arguments = (
        *("--ann-file", labels / "spoilt.json", "--json", outputs["json"]),
        *("--csv", outputs["csv"], "--report", outputs["html"]),
    )
    done = run_tool("verify_dataset.py", *arguments)
    assert done.returncode == 1, done.stderr
    assert "1 error, 0 warnings, 0 for information" in done.stdout
    assert "3.png, annotation 3: " in done.stdout
    (fault,) = json.loads(outputs["json"].read_text())["faults"]
    (row,) = csv.DictReader(outputs["csv"].read_text().splitlines())
    assert fault["check"] == row["check"] == "area_not_positive"
    assert fault["annotation_id"] == int(row["annotation_id"]) == 3
    assert fault["to_do"] == row["to_do"] != ""
    assert outputs["html"].read_text().startswith("<!doctype html>")

    again = run_tool("verify_dataset.py", *arguments)
    assert again.returncode == 2
    assert "not to exist" in again.stderr
    assert run_tool("verify_dataset.py", *arguments, "--force").returncode == 1


def test_a_sound_set_exits_with_0(run_tool, labels):
    done = run_tool("verify_dataset.py", "--ann-file", labels / "sound.json")
    assert done.returncode == 0, done.stderr
    assert "0 errors, 0 warnings" in done.stdout


MISTAKES = [
    # arguments in the folder of the labels, and what the one line says
    pytest.param(["--ann-file", "none.json"], "no file at", id="no file"),
    pytest.param(["--ann-file", "sound.json", "--img-dir", "none"], "there is none", id="folder"),
    pytest.param(["--ann-file", "sound.json", "--metainfo", "horse27"], "horse26", id="metainfo"),
    pytest.param([], "--ann-file", id="no argument"),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES)
def test_a_wrong_call_is_a_sentence(run_tool, labels, arguments, words):
    done = run_tool("verify_dataset.py", *arguments, cwd=labels)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_known_traps_of_a_real_set_are_found(run_tool, real_data, tmp_path):
    """Its width and height are exchanged, its boxes' y is the bottom, and an image is missing."""
    folder = real_data / "horse10_sample20"
    done = run_tool(
        "verify_dataset.py",
        *("--ann-file", folder / "horse.json", "--img-dir", folder),
        *("--json", tmp_path / "found.json"),
    )
    assert done.returncode == 1, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())["faults"]
    by_check = {fault["check"]: fault for fault in found}
    assert "read as [x, y, width, height] with y the bottom" in by_check["box_form"]["sentence"]
    assert "size_form" in by_check
    assert by_check["missing_image"]["image"].endswith("0112.png")
    assert sum(fault["check"] == "image_size" for fault in found) == 141


def test_real_labels_that_train_well_have_no_errors(run_tool, real_data):
    folder = real_data / "mmpose_samples"
    for name in ("ap10k", "animalpose", "horse10"):
        labels = folder / name / f"test_{name}.json"
        done = run_tool("verify_dataset.py", "--ann-file", labels, "--img-dir", folder / name)
        assert done.returncode == 0, done.stdout
