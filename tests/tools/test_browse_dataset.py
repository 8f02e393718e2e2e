from __future__ import annotations

import cv2
import numpy as np
import pytest

CELL = np.array([320, 320 + 18])  # with its caption


def cells(image: np.ndarray, count: int) -> list[np.ndarray]:
    """The first cells of a sheet in rows of four, without captions."""
    height, width = CELL[1], CELL[0]
    found = []
    for number in range(count):
        top, left = number // 4 * height, number % 4 * width
        found.append(image[top : top + 320, left : left + width])
    return found


def test_samples_are_drawn_with_their_points(run_tool, sample_data, tmp_path):
    out = tmp_path / "sheet.png"
    arguments = ("smoke/rtmpose_m_ap10k", "--data-root", sample_data, "--out", out)
    done = run_tool("browse_dataset.py", *arguments, "--count", 6)
    assert done.returncode == 0, done.stderr[-2000:]
    assert f"written: {out}" in done.stdout
    image = cv2.imread(str(out))
    assert image.shape[:2] == (2 * CELL[1], 4 * CELL[0])
    for cell in cells(image, 6):
        # the green and orange of left and right points
        assert (np.abs(cell.astype(int) - (0, 255, 0)).max(axis=2) < 40).any()
    again = run_tool("browse_dataset.py", *arguments)
    assert again.returncode == 2
    assert "--overwrite" in again.stderr


def test_each_augmentation_is_shown_alone(run_tool, sample_radiographs, tmp_path):
    """Radiographs have seven steps beyond the plain pipeline, of which one only drops points."""
    out = tmp_path / "each.png"
    done = run_tool(
        "browse_dataset.py",
        "td-hm_efficientnet-lite0_p1p2-512x512",
        "--data-root",
        sample_radiographs,
        "--out",
        out,
        "--each",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    plain, *changed = cells(cv2.imread(str(out)), 8)
    differ = [np.abs(cell.astype(int) - plain).mean() > 0.2 for cell in changed]
    assert differ == [True, False, True, True, True, True, True]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--out", "sheet.txt"], "an image file that OpenCV writes"),
        (["--count", "0"], "argument --count: expected a whole number of at least 1"),
        (["--data-root", "gone"], "expected train annotations at gone"),
    ],
)
def test_mistakes_are_one_sentence(call_tool, tmp_path, more, words):
    arguments = ("rtmpose_m_ap10k", "--out", str(tmp_path / "sheet.png"), *more)
    done = call_tool("browse_dataset.py", *arguments)
    assert done.returncode == 2
    assert words in done.stderr.splitlines()[-1]
