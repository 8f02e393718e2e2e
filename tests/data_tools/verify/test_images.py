from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from equikpt.data_tools.verify import images as images_module
from equikpt.data_tools.verify.images import check_image_files
from equikpt.report.html.label_page import Thumbnails
from tests.data_tools.test_near_duplicates import drawn_image as gray_blobs
from tests.data_tools.verify.conftest import people

COUNT = 6


def draw(path, seed: int) -> None:
    """An image of blobs that no other seed resembles, 300 x 260 px."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (7, 8, 3)).astype(np.uint8)
    cv2.imwrite(str(path), cv2.resize(coarse, (300, 260), interpolation=cv2.INTER_CUBIC))


@pytest.fixture
def folders(tmp_path):
    """Folders of two files' folders, all different."""
    folders = (tmp_path / "train", tmp_path / "val")
    for split, folder in enumerate(folders):
        folder.mkdir()
        for number in range(1, COUNT + 1):
            draw(folder / f"{number}.png", 100 * split + number)
    return folders


def found(read, folders) -> list[tuple[str, str, int | None]]:
    """Check, file and image."""
    labels = read(people(COUNT), people(COUNT, seed=1), img_dirs=folders)
    return [(f.code, f.subject.file[-6:-5], f.subject.image_id) for f in check_image_files(labels)]


def test_valid_images_have_no_issue(read, folders):
    assert found(read, folders) == []


def test_without_a_folder_nothing_is_looked_at(read):
    assert list(check_image_files(read(people(COUNT)))) == []


def test_missing_damaged_and_resized_images_are_named(read, folders):
    (folders[0] / "2.png").unlink()
    content = (folders[0] / "3.png").read_bytes()
    (folders[0] / "3.png").write_bytes(content[: len(content) // 2])
    with Image.open(folders[1] / "4.png") as image:
        image.resize((50, 60)).save(folders[1] / "4.png")
    assert found(read, folders) == [
        ("missing_image", "0", 2),
        ("damaged_image", "0", 3),
        ("image_size", "1", 4),
    ]


def test_images_outside_their_folder_are_told_and_not_opened(read, folders, monkeypatch):
    content = people(COUNT)
    inside, outside, absolute, back = content["images"][:4]
    inside["file_name"] = "../train/1.png"
    outside["file_name"] = "../val/2.png"
    absolute["file_name"] = str(folders[1] / "3.png")
    back["file_name"] = str(folders[0] / "4.png")
    labels = read(content, img_dirs=folders[:1])
    opened = []
    whole = images_module._read
    note = lambda path, **how: opened.append(path) or whole(path, **how)  # noqa: E731
    monkeypatch.setattr(images_module, "_read", note)
    issues = list(check_image_files(labels))
    assert [(f.code, f.subject.image_id) for f in issues] == [
        ("outside_image", 2),
        ("outside_image", 3),
    ]
    assert not [path for path in opened if "val" in path]
    assert [Thumbnails(labels)._image(issue) for issue in issues] == [None, None]


def test_a_name_in_another_case_is_told(read, folders):
    (folders[0] / "2.png").rename(folders[0] / "2.PNG")
    labels = read(people(COUNT), img_dirs=folders[:1])
    (issue,) = check_image_files(labels)
    assert "'2.PNG' is there" in issue.message


def test_a_path_with_colons_and_spaces_is_no_trouble(read, tmp_path):
    folder = tmp_path / "a: b is c"
    folder.mkdir()
    for number in range(1, COUNT + 1):
        draw(folder / f"{number}.png", number)
    (folder / "3.png").write_bytes(b"")
    labels = read(people(COUNT), img_dirs=(folder,))
    assert [(f.code, f.subject.image_id) for f in check_image_files(labels)] == [
        ("damaged_image", 3)
    ]


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_an_exif_orientation_is_told(read, folders, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = orientation >= 5
    with Image.open(folders[0] / "5.png") as image:
        turned = image.transpose(Image.Transpose.ROTATE_90) if lying else image.copy()
    turned.save(folders[0] / "5.png", "JPEG", exif=exif, quality=95)
    expected = [] if orientation == 1 else [("exif_turned", "0", 5)]
    assert found(read, folders) == expected


def again(source, target, mirrored: bool = False, brighter: float = 0, quality: int = 60) -> None:
    """The image compressed anew."""
    image = cv2.convertScaleAbs(cv2.imread(str(source)), beta=brighter)
    if mirrored:
        image = cv2.flip(image, 1)
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    target.write_bytes(encoded.tobytes())


CASES = [
    # the second image, and the code of its issue
    pytest.param("1/4", 0, False, "near_duplicate_across_files", id="across files"),
    pytest.param("1/4", 8, False, "near_duplicate_across_files", id="brighter"),
    pytest.param("1/4", 0, True, "near_duplicate_across_files", id="mirrored"),
    pytest.param("0/4", 0, False, "near_duplicate", id="within a file"),
]


@pytest.mark.parametrize(("place", "brighter", "mirrored", "check"), CASES)
def test_nearly_the_same_image_is_found(read, folders, place, brighter, mirrored, check):
    folder, number = place.split("/")
    target = folders[int(folder)] / f"{number}.png"
    again(folders[0] / "2.png", target, mirrored, brighter)
    assert found(read, folders) == [(check, folder, 4)]


@pytest.mark.parametrize(
    ("mirrored", "words"),
    [(False, "is nearly 2.png in"), (True, "is nearly the mirror image of 2.png in")],
    ids=["copy", "mirrored"],
)
def test_another_file_comes_before_a_more_similar_image(read, folders, mirrored, words):
    again(folders[0] / "2.png", folders[1] / "4.png", mirrored)
    again(folders[1] / "4.png", folders[1] / "5.png", quality=95)
    labels = read(people(COUNT), people(COUNT, seed=1), img_dirs=folders)
    issues = list(check_image_files(labels))
    assert [(f.code, f.subject.image_id) for f in issues] == [
        ("near_duplicate_across_files", 4),
        ("near_duplicate_across_files", 5),
    ]
    assert all(words in f.message for f in issues)


def test_of_several_the_most_similar_is_named(read, folders):
    again(folders[0] / "2.png", folders[0] / "3.png", quality=5)
    again(folders[0] / "3.png", folders[0] / "4.png", quality=95)
    issues = list(check_image_files(read(people(COUNT), img_dirs=folders[:1])))
    assert [f.message for f in issues] == ["is nearly 2.png", "is nearly 3.png"]
    assert 0.9 <= issues[0].score < issues[1].score <= 1 + 1e-5


@pytest.mark.parametrize(
    ("folder", "check"), [(1, "duplicate_across_files"), (0, "duplicate_image")]
)
def test_the_same_pixels_are_found_whatever_the_format(read, folders, folder, check):
    image = cv2.imread(str(folders[0] / "2.png"))
    encoded = cv2.imencode(".bmp", image)[1]
    (folders[folder] / "4.png").write_bytes(encoded.tobytes())
    assert found(read, folders) == [(check, str(folder), 4)]


def test_plain_images_are_not_alike_by_their_hashes(read, folders):
    """The hash of a ramp is that of any other ramp of its direction."""
    ramp = np.linspace(0, 255, 300)[None].repeat(260, axis=0)
    cv2.imwrite(str(folders[0] / "1.png"), ramp.astype(np.uint8))
    steep = np.clip((np.arange(300) - 220) * 20, 0, 255)[None].repeat(260, axis=0)
    cv2.imwrite(str(folders[0] / "2.png"), steep.astype(np.uint8))
    assert found(read, folders) == []


def test_images_of_one_layout_are_told_apart(read, folders):
    """As radiographs of several patients on one machine."""
    layout = cv2.GaussianBlur(gray_blobs(5), (0, 0), 25).astype(int)
    for number in range(1, COUNT + 1):
        radiograph = np.clip(layout + gray_blobs(100 + number) // 12 - 10, 0, 255)
        cv2.imwrite(str(folders[0] / f"{number}.png"), radiograph.astype(np.uint8))
    assert found(read, folders) == []


def test_a_image_of_two_files_is_read_once(read, folders, monkeypatch):
    paths = []

    def read_and_note(path):
        paths.append(path)
        return read_with_depth(path)

    read_with_depth = images_module.read_with_depth
    monkeypatch.setattr(images_module, "read_with_depth", read_and_note)
    labels = read(people(COUNT), people(COUNT, seed=1), img_dirs=folders[:1])
    checks = [issue.code for issue in check_image_files(labels)]
    assert checks == ["duplicate_across_files"] * COUNT
    assert len(paths) == len(set(paths)) == COUNT


def deepen(path, bits: int) -> None:
    """The image in so many of 16 bits."""
    cv2.imwrite(str(path), cv2.imread(str(path)).astype(np.uint16) << (bits - 8))


def test_values_that_fill_a_small_part_of_their_range_are_told(read, folders):
    for number in (1, 2, 3):
        deepen(folders[0] / f"{number}.png", 12)
    deepen(folders[1] / "1.png", 10)
    deepen(folders[1] / "2.png", 16)
    flat = cv2.imread(str(folders[1] / "3.png")) // 9 + 100
    cv2.imwrite(str(folders[1] / "3.png"), flat)
    labels = read(people(COUNT), people(COUNT, seed=1), img_dirs=folders)
    issues = list(check_image_files(labels))
    assert [(f.code, f.subject.file[-6:-5], f.subject.image_id) for f in issues] == [
        *(("narrow_range", "0", number) for number in (1, 2, 3)),
        *(("narrow_range", "1", number) for number in (1, 3)),
    ]
    assert "takes 12 of 16 bits" in issues[0].message
    assert "most others" not in issues[0].message
    assert "takes 10 of 16 bits" in issues[3].message
    assert "most others of 16 bits are read as of 12" in issues[3].message
    assert "lie within 2" in issues[4].message


def test_radiographs_have_a_window_and_may_fill_any_part_of_their_range(read, folders):
    deepen(folders[0] / "1.png", 12)
    path = str(folders[0] / "1.png")
    assert not [*images_module._narrow_reasons(images_module._read(path, radiograph=True), None)]
    assert [*images_module._narrow_reasons(images_module._read(path, radiograph=False), None)]


def test_images_that_only_decoding_refuses_end_nothing(read, folders):
    """Each is told, and what is wrong with the others as well."""
    Image.fromarray(np.ones((260, 300), np.float32)).save(folders[0] / "1.tif")
    (folders[0] / "1.tif").rename(folders[0] / "1.png")
    content = bytearray((folders[0] / "3.png").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)  # behind a whole header and end
    (folders[0] / "3.png").write_bytes(bytes(content))
    again(folders[0] / "2.png", folders[0] / "4.png")
    labels = read(people(COUNT), img_dirs=folders[:1])
    assert [(f.code, f.subject.image_id) for f in check_image_files(labels)] == [
        ("damaged_image", 1),
        ("damaged_image", 3),
        ("near_duplicate", 4),
    ]
