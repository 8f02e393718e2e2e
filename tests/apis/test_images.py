from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.logging import MMLogger
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from equikpt.apis.box_source import box_source
from equikpt.apis.images import drawn_paths, find_pictures, sheet, sheet_cell, show
from equikpt.core.image import read_picture
from equikpt.metainfo.horse26 import METAINFO
from equikpt.structures import Instance
from equikpt.visualization.predictions import Look


class Finder:
    """Finds one animal whose points are all in the middle of the picture; counts what it holds."""

    batch_size = 2
    metainfo = parse_pose_metainfo(METAINFO)
    most_pictures = 0

    def read(self, path):
        return read_picture(path)

    def stream(self, pairs):
        pairs = list(pairs)
        self.most_pictures = max(self.most_pictures, len(pairs))
        for picture, _ in pairs:
            middle = np.array(picture.shape[1::-1]) / 2
            box = np.array([0, 0, *picture.shape[1::-1]])
            yield [Instance(np.tile(middle, (26, 1)), np.ones(26), box)]


@pytest.fixture
def folder(tmp_path) -> Path:
    """Five pictures, of which the third is cut, and a text."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    for name in "abcde":
        cv2.imwrite(str(tmp_path / f"{name}.png"), noise)
    content = (tmp_path / "c.png").read_bytes()
    (tmp_path / "c.png").write_bytes(content[: len(content) // 2])
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_each_picture_comes_in_its_place(folder):
    finder, pictures = Finder(), find_pictures([], folder)
    shown = list(show(pictures, finder, box_source(), Look()))
    assert [each.path.stem for each in shown] == list("abcde")
    assert [each.drawn is None for each in shown] == [False, False, True, False, False]
    assert "c.png, it is damaged" in shown[2].problem
    for each in (*shown[:2], *shown[3:]):
        assert each.problem == ""
        assert len(each.instances) == 1
        assert (each.drawn != read_picture(each.path)).any()
    assert finder.most_pictures == 2


def test_pictures_are_found_by_path_glob_and_folder(folder):
    names = [path.name for path in find_pictures([], folder)]
    assert names == ["a.png", "b.png", "c.png", "d.png", "e.png"]
    found = find_pictures([f"{folder}/[de].png", str(folder / "a.png")])
    assert [path.name for path in found] == ["d.png", "e.png", "a.png"]
    (folder / "e[1].png").write_bytes(b"")
    assert find_pictures([f"{folder}/e[1].png"]) == [folder / "e[1].png"]


def test_pictures_in_subfolders_are_counted(folder, caplog):
    (folder / "seq0").mkdir()
    (folder / "a.png").rename(folder / "seq0" / "a.png")
    (folder / "b.png").rename(folder / "seq0" / "b.png")
    MMLogger.get_current_instance().addHandler(caplog.handler)
    assert len(find_pictures([], folder)) == 3
    assert "2 in its subfolders" in caplog.text
    assert len(find_pictures([f"{folder}/**/*.png"])) == 5
    for name in "cde":
        (folder / f"{name}.png").unlink()
    with pytest.raises(FileNotFoundError, match="found none; 2 in its subfolders"):
        find_pictures([], folder)


def test_nothing_to_find_is_a_sentence(folder):
    with pytest.raises(FileNotFoundError, match=r"pictures under .*x\*\.jpg, found none"):
        find_pictures([f"{folder}/x*.jpg"])
    with pytest.raises(FileNotFoundError, match="a folder of pictures at gone"):
        find_pictures([], Path("gone"))
    (folder / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"pictures \(\.bmp, .*\) in .*empty, found none"):
        find_pictures([], folder / "empty")


def test_pictures_are_written_under_their_names():
    out = Path("out")
    assert drawn_paths([Path("a.png"), Path("b.tif")], out) == [
        *(out / "a_pose.jpg", out / "b_pose.jpg")
    ]
    assert drawn_paths([Path("a.png"), Path("a.tif")], out) == [
        *(out / "a_png_pose.jpg", out / "a_tif_pose.jpg")
    ]
    with pytest.raises(ValueError, match="several that would be a_png_pose.jpg"):
        drawn_paths([Path("one/a.png"), Path("two/a.png")], out)


def test_a_cell_of_a_sheet_is_no_larger_than_it_must_be():
    assert sheet_cell(np.zeros((3000, 4000, 3), np.uint8)).shape == (315, 420, 3)
    assert sheet_cell(np.zeros((30, 40, 3), np.uint8)).shape == (30, 40, 3)
    assert sheet_cell(np.zeros((1000, 2000, 3), np.uint8), panels=2).shape == (420, 840, 3)


@pytest.mark.parametrize(("panels", "columns"), [(1, 4), (2, 2)])
def test_a_sheet_has_no_more_room_than_its_largest_picture_needs(panels, columns):
    cells = [(np.zeros(size, np.uint8), "name") for size in ((90, 200, 3), (120, 160, 3))] * 4
    assert sheet(cells, panels).shape == (8 // columns * (120 + 18), columns * 200, 3)
