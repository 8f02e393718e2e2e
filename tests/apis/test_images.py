from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.logging import MMLogger
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from equikpt.apis.detectors import box_source
from equikpt.apis.images import find_images, sheet, sheet_cell, show
from equikpt.core.image import read_image
from equikpt.metainfo.horse26 import METAINFO
from equikpt.structures import Instance
from equikpt.visualization.predictions import Look
from equikpt_runtime.files import drawn_paths


class Finder:
    """Finds one animal whose points are all in the middle of the image; counts what it holds."""

    batch_size = 2
    metainfo = parse_pose_metainfo(METAINFO)
    most_images = 0

    def read(self, path):
        return read_image(path)

    def stream(self, pairs):
        pairs = list(pairs)
        self.most_images = max(self.most_images, len(pairs))
        for image, _ in pairs:
            middle = np.array(image.shape[1::-1]) / 2
            box = np.array([0, 0, *image.shape[1::-1]])
            yield [Instance(np.tile(middle, (26, 1)), np.ones(26), box)]


@pytest.fixture
def folder(tmp_path) -> Path:
    """Five images, of which the third is cut, and a text."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    for name in "abcde":
        cv2.imwrite(str(tmp_path / f"{name}.png"), noise)
    content = (tmp_path / "c.png").read_bytes()
    (tmp_path / "c.png").write_bytes(content[: len(content) // 2])
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_each_image_comes_in_its_place(folder):
    finder, images = Finder(), find_images([], folder)
    shown = list(show(images, finder, box_source(), Look()))
    assert [each.path.stem for each in shown] == list("abcde")
    assert [each.drawn is None for each in shown] == [False, False, True, False, False]
    assert "c.png, it is damaged" in shown[2].problem
    for each in (*shown[:2], *shown[3:]):
        assert each.problem == ""
        assert len(each.instances) == 1
        assert (each.drawn != read_image(each.path)).any()
    assert finder.most_images == 2


def test_images_are_found_by_path_glob_and_folder(folder):
    names = [path.name for path in find_images([], folder)]
    assert names == ["a.png", "b.png", "c.png", "d.png", "e.png"]
    found = find_images([f"{folder}/[de].png", str(folder / "a.png")])
    assert [path.name for path in found] == ["d.png", "e.png", "a.png"]
    (folder / "e[1].png").write_bytes(b"")
    assert find_images([f"{folder}/e[1].png"]) == [folder / "e[1].png"]


def test_images_in_subfolders_are_counted(folder, caplog):
    (folder / "seq0").mkdir()
    (folder / "a.png").rename(folder / "seq0" / "a.png")
    (folder / "b.png").rename(folder / "seq0" / "b.png")
    MMLogger.get_current_instance().addHandler(caplog.handler)
    assert len(find_images([], folder)) == 3
    assert "2 in its subfolders" in caplog.text
    assert len(find_images([f"{folder}/**/*.png"])) == 5
    for name in "cde":
        (folder / f"{name}.png").unlink()
    with pytest.raises(FileNotFoundError):
        find_images([], folder)


def test_nothing_to_find_is_a_sentence(folder):
    with pytest.raises(FileNotFoundError):
        find_images([f"{folder}/x*.jpg"])
    with pytest.raises(FileNotFoundError):
        find_images([], Path("gone"))
    (folder / "empty").mkdir()
    with pytest.raises(FileNotFoundError):
        find_images([], folder / "empty")


def test_images_are_written_under_their_names():
    out = Path("out")
    for given, names in (("a.png b.tif", "a b"), ("a.png a.tif", "a_png a_tif")):
        paths = [out / f"{name}_pose.jpg" for name in names.split()]
        assert drawn_paths(given.split(), out) == paths
    with pytest.raises(ValueError, match="a_png_pose.jpg"):
        drawn_paths([Path("one/a.png"), Path("two/a.png")], out)


def test_a_cell_of_a_sheet_is_no_larger_than_it_must_be():
    assert sheet_cell(np.zeros((3000, 4000, 3), np.uint8)).shape == (315, 420, 3)
    assert sheet_cell(np.zeros((30, 40, 3), np.uint8)).shape == (30, 40, 3)
    assert sheet_cell(np.zeros((1000, 2000, 3), np.uint8), panels=2).shape == (420, 840, 3)


@pytest.mark.parametrize(("panels", "columns"), [(1, 4), (2, 2)])
def test_a_sheet_has_no_more_room_than_its_largest_image_needs(panels, columns):
    cells = [(np.zeros(size, np.uint8), "name") for size in ((90, 200, 3), (120, 160, 3))] * 4
    assert sheet(cells, panels).shape == (8 // columns * (120 + 18), columns * 200, 3)
