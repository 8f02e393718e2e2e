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
from equikpt.core.issues import CODES, Issue, format_issues

WIDTH, HEIGHT = 40, 24


def write(path: Path, width: int = WIDTH, height: int = HEIGHT, orientation: int = 1) -> Path:
    """An image stored upright, which viewers turn."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = dict(exif=exif) if orientation > 1 else {}
    Image.fromarray(pixels).save(path, **options)
    return path


def check(path: Path, mode: str, width: int = WIDTH, height: int = HEIGHT) -> list[Issue]:
    return check_images([ListedImage(str(path), width, height)], mode)


def codes(issues: list[Issue]) -> list[str]:
    return [issue.code for issue in issues]


SUFFIXES = ("jpg", "png", "bmp", "webp")


@pytest.mark.parametrize("mode", ["none", "header", "full"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_valid_images_pass(tmp_path, suffix, mode):
    assert check(write(tmp_path / f"a.{suffix}"), mode) == []


@pytest.mark.parametrize("mode", ["header", "full"])
@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_cut_image_is_found(tmp_path, suffix, share, mode):
    path = write(tmp_path / f"a.{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    (issue,) = check(path, mode)
    assert (issue.code, issue.subject.image) == ("damaged_image", str(path))


@pytest.mark.parametrize("mode", ["header", "full"])
def test_a_file_that_is_no_image_is_found(tmp_path, mode):
    """With the golden message of the family."""
    path = tmp_path / "a.jpg"
    path.write_text("<html>not found</html>")
    assert codes(check(path, mode)) == ["damaged_image"]
    path.write_bytes(b"")
    assert format_issues(check(path, mode)) == [
        f"damaged images ({path}: the file is empty); replace it, or take it out of the JSON"
    ]
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
    assert codes(check(path, "full", 200, 200)) == ["damaged_image"]


@pytest.mark.parametrize("mode", ["header", "full"])
def test_another_size_is_found_and_exchanged_sides_are_called_that(tmp_path, mode):
    (issue,) = check(write(tmp_path / "a.png"), mode, width=WIDTH + 1)
    assert (issue.code, issue.fix) == ("image_size", CODES["image_size"].fix)
    assert f"is {WIDTH} x {HEIGHT}, listed as {WIDTH + 1} x {HEIGHT}" in issue.examples[0]
    (issue,) = check(write(tmp_path / "a.png"), mode, width=HEIGHT, height=WIDTH)
    assert issue.code == "image_size"
    assert "exchanged" in issue.fix


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_is_that_with_which_opencv_loads(tmp_path, suffix, orientation):
    path = write(tmp_path / f"a.{suffix}", orientation=orientation)
    height, width = cv2.imread(str(path), cv2.IMREAD_COLOR).shape[:2]
    assert loaded_size_px(str(path)) == (width, height)


def test_a_turned_jpeg_is_judged_as_it_is_shown(tmp_path):
    path = write(tmp_path / "a.jpg", orientation=6)
    assert check(path, "header", width=HEIGHT, height=WIDTH) == []
    assert "exchanged" in check(path, "header", width=WIDTH, height=HEIGHT)[0].fix


def test_every_damaged_image_is_an_issue_in_order(tmp_path):
    images = [ListedImage(str(tmp_path / f"{index}.png"), 1, 1) for index in range(9)]
    for image in images:
        Path(image.path).write_bytes(b"")
    assert [issue.subject.image for issue in check_images(images)] == [i.path for i in images]


def test_missing_images_differ_from_present_ones(tmp_path):
    write(tmp_path / "here.png")
    (tmp_path / "folder.png").mkdir()
    images = [
        ListedImage(str(tmp_path / name), 1, 1) for name in ("here.png", "folder.png", "gone.png")
    ]
    assert missing_images(images) == images[2:]
    (damaged, _) = check_images(images[:2])
    assert (damaged.code, damaged.subject.image) == ("damaged_image", images[1].path)


def test_a_name_in_other_case_is_seen(tmp_path):
    write(tmp_path / "A.PNG")
    assert name_in_other_case(str(tmp_path / "a.png")) == "A.PNG"
    assert name_in_other_case(str(tmp_path / "b.png")) is None
    assert name_in_other_case(str(tmp_path / "nowhere" / "b.png")) is None


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="check_images"):
        check_images([], "half")
