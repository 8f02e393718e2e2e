from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from equikpt.core.image_checks import (
    ListedImage,
    check_images,
    loaded_size_px,
    missing_images,
    name_in_other_case,
)

WIDTH, HEIGHT = 40, 24


def write(path: Path, width: int = WIDTH, height: int = HEIGHT) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    cv2.imwrite(str(path), pixels)
    return path


def write_turned(path: Path, orientation: int) -> Path:
    """A picture stored upright as WIDTH x HEIGHT that viewers turn."""
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def check(path: Path, mode: str, width: int = WIDTH, height: int = HEIGHT) -> list[str]:
    return [f.sentence() for f in check_images([ListedImage(str(path), width, height)], mode)]


SUFFIXES = ("jpg", "png", "bmp", "webp")


@pytest.mark.parametrize("mode", ["none", "header", "full"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_sound_pictures_pass(tmp_path, suffix, mode):
    assert check(write(tmp_path / f"a.{suffix}"), mode) == []


@pytest.mark.parametrize("mode", ["header", "full"])
@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_cut_picture_is_found(tmp_path, suffix, share, mode):
    path = write(tmp_path / f"a.{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    (found,) = check(path, mode)
    assert found.startswith("damaged pictures (")
    assert f"a.{suffix}" in found


@pytest.mark.parametrize("mode", ["header", "full"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"", "the file is empty", id="empty"),
        pytest.param(b"<html>not found</html>", "it is none of JPEG", id="a web page"),
    ],
)
def test_what_is_no_picture_is_found(tmp_path, content, said, mode):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    (found,) = check(path, mode)
    assert said in found


def test_none_opens_nothing(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"")
    assert check(path, "none") == []


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_bytes_after_the_end_are_harmless(tmp_path, suffix):
    path = write(tmp_path / f"a.{suffix}")
    path.write_bytes(path.read_bytes() + b"appended by a camera" * 9)
    assert check(path, "header") == []


def test_only_full_finds_damage_in_the_middle(tmp_path):
    path = write(tmp_path / "a.png", 200, 200)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)
    path.write_bytes(bytes(content))
    assert check(path, "header", 200, 200) == []
    (found,) = check(path, "full", 200, 200)
    assert found.startswith("damaged pictures")


@pytest.mark.parametrize("mode", ["header", "full"])
def test_another_size_is_found(tmp_path, mode):
    (found,) = check(write(tmp_path / "a.png"), mode, width=WIDTH + 1)
    assert f"is {WIDTH} x {HEIGHT}, listed as {WIDTH + 1} x {HEIGHT}" in found
    assert "exchanged" not in found


@pytest.mark.parametrize("mode", ["header", "full"])
def test_exchanged_width_and_height_are_called_that(tmp_path, mode):
    (found,) = check(write(tmp_path / "a.png"), mode, width=HEIGHT, height=WIDTH)
    assert "width and height seem exchanged" in found


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_is_that_with_which_opencv_loads(tmp_path, suffix, orientation):
    path = write_turned(tmp_path / f"a.{suffix}", orientation)
    height, width = cv2.imread(str(path), cv2.IMREAD_COLOR).shape[:2]
    assert loaded_size_px(str(path)) == (width, height)


def test_a_turned_jpeg_is_judged_as_it_is_shown(tmp_path):
    path = write_turned(tmp_path / "a.jpg", orientation=6)
    assert check(path, "header", width=HEIGHT, height=WIDTH) == []
    assert "exchanged" in check(path, "header", width=WIDTH, height=HEIGHT)[0]


def test_every_offender_is_kept_in_order(tmp_path):
    images = [ListedImage(str(tmp_path / f"{index}.png"), 1, 1) for index in range(9)]
    for image in images:
        Path(image.path).write_bytes(b"")
    (found,) = check_images(images)
    assert [text.split(":")[0] for text in found.offenders] == [image.path for image in images]


def test_missing_pictures_are_told_from_present_ones(tmp_path):
    write(tmp_path / "here.png")
    (tmp_path / "folder.png").mkdir()
    images = [
        ListedImage(str(tmp_path / name), 1, 1) for name in ("here.png", "folder.png", "gone.png")
    ]
    assert missing_images(images) == images[2:]
    (damaged, _) = check_images(images[:2])
    assert "folder.png: it is a folder" in damaged.sentence()


def test_a_name_in_other_case_is_seen(tmp_path):
    write(tmp_path / "A.PNG")
    assert name_in_other_case(str(tmp_path / "a.png")) == "A.PNG"
    assert name_in_other_case(str(tmp_path / "b.png")) is None
    assert name_in_other_case(str(tmp_path / "nowhere" / "b.png")) is None


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="check_images is 'half'; expected one of none, header"):
        check_images([], "half")
