from __future__ import annotations

import csv
import json

import cv2
import numpy as np
import pytest

from tests.core.test_label_studio import point, task


@pytest.fixture
def radiographs(tmp_path):
    """Six radiographs with a ruler each; the last one's marks are exchanged."""
    (tmp_path / "films").mkdir()
    rows = []
    for number in range(6):
        name = f"{number}.png"
        cv2.imwrite(str(tmp_path / "films" / name), np.full((200, 100), 40 + number, np.uint8))
        low, high = ("p2", "p1") if number == 5 else ("p1", "p2")
        rows.append(task(point(low, 80, 60), point(high, 80, 40), id=number, file_upload=name))
    (tmp_path / "labels.json").write_text(json.dumps(rows))
    return tmp_path


def test_suspects_are_written_and_the_exit_code_tells(run_tool, radiographs):
    arguments = (
        radiographs / "labels.json",
        "--images",
        radiographs / "films",
        "--out",
        radiographs / "report",
    )
    done = run_tool("check_annotations_quality.py", *arguments)
    assert done.returncode == 1, done.stderr
    assert "1 of 6 radiographs need a look" in done.stdout
    rows = list(csv.DictReader((radiographs / "report" / "suspects.csv").read_text().splitlines()))
    assert [row["radiograph"] for row in rows] == ["5.png"]
    assert "p1, the lower end, is above p2" in rows[0]["mistakes"]
    assert cv2.imread(str(radiographs / "report" / "suspects.jpg")) is not None

    again = run_tool("check_annotations_quality.py", *arguments)
    assert again.returncode == 2
    assert "--overwrite" in again.stderr


def test_a_sound_set_needs_nobody(run_tool, radiographs):
    rows = json.loads((radiographs / "labels.json").read_text())[:5]
    (radiographs / "labels.json").write_text(json.dumps(rows))
    done = run_tool(
        "check_annotations_quality.py", radiographs / "labels.json", "--out", radiographs / "out"
    )
    assert done.returncode == 0, done.stderr
    assert "0 of 5 radiographs need a look" in done.stdout


def test_a_file_that_is_no_export_is_a_sentence(run_tool, tmp_path):
    (tmp_path / "labels.json").write_text("[1, 2]")
    done = run_tool("check_annotations_quality.py", tmp_path / "labels.json")
    assert done.returncode == 2
    assert "export it as JSON" in done.stderr
    assert "Traceback" not in done.stderr


def test_real_labels(run_tool, real_data, tmp_path):
    labels = real_data / "aariz_labels" / "annotations_p1_p2.json"
    done = run_tool("check_annotations_quality.py", labels, "--out", tmp_path / "report")
    assert done.returncode in (0, 1), done.stderr
    assert "300 tasks, 300 with both marks" in done.stdout
