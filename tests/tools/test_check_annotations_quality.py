import csv
import json

import cv2
import numpy as np
import pytest

from tests.core.test_label_studio import point, task

TOOL = "check_annotations_quality"


@pytest.fixture
def rows(tmp_path):
    """Tasks of six radiographs with a ruler each; the last one's marks are exchanged."""
    rows = []
    for number in range(6):
        name = f"{number}.png"
        cv2.imwrite(str(tmp_path / name), np.full((200, 100), 40 + number, np.uint8))
        low, high = ("p2", "p1") if number == 5 else ("p1", "p2")
        rows.append(task(point(low, 80, 60), point(high, 80, 40), id=number, file_upload=name))
    return rows


@pytest.mark.parametrize("count", [6, 5], ids=["one suspect", "all valid"])
def test_suspects_are_written_and_the_exit_code_tells(call_tool, rows, tmp_path, count):
    labels, out = tmp_path / "labels.json", tmp_path / "report"
    labels.write_text(json.dumps(rows[:count]))
    if count == 5:
        (tmp_path / "5.png").unlink()  # an image without labels is an issue
    arguments = (labels, "--images", tmp_path, "--out", out)
    printed = call_tool(TOOL, *arguments, code=count - 5)
    assert f"{count - 5} of {count} radiographs need a look" in printed
    if count == 6:
        (row,) = csv.DictReader((out / "suspects.csv").read_text().splitlines())
        assert row["radiograph"] == "5.png"
        assert "p1, the lower end, is above p2" in row["mistakes"]
        assert cv2.imread(str(out / "suspects.jpg")) is not None
        assert "overwrite" in call_tool(TOOL, *arguments, code=2)


def test_real_labels(call_tool, real_data, tmp_path):
    labels = real_data / "aariz_labels" / "annotations_p1_p2.json"
    printed = call_tool(TOOL, labels, "--out", tmp_path / "report", code=1)
    assert "300 tasks, 300 with both marks" in printed
