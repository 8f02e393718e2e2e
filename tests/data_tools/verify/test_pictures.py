from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from equikpt.data_tools.verify import pictures as pictures_module
from equikpt.data_tools.verify.pictures import check_pictures
from equikpt.report.html.label_thumbnails import Thumbnails
from tests.data_tools.test_near_duplicates import picture as gray_blobs
from tests.data_tools.verify.conftest import people

COUNT = 6


def draw(path, seed: int) -> None:
    """A picture of blobs that no other seed resembles, 300 x 260 px."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (7, 8, 3)).astype(np.uint8)
    cv2.imwrite(str(path), cv2.resize(coarse, (300, 260), interpolation=cv2.INTER_CUBIC))


@pytest.fixture
def pictures(tmp_path):
    """Folders of two files' pictures, all different."""
    folders = (tmp_path / "train", tmp_path / "val")
    for split, folder in enumerate(folders):
        folder.mkdir()
        for number in range(1, COUNT + 1):
            draw(folder / f"{number}.png", 100 * split + number)
    return folders


def found(read, pictures) -> list[tuple[str, str, int | None]]:
    """Check, file and picture."""
    labels = read(people(COUNT), people(COUNT, seed=1), img_dirs=pictures)
    return [(f.check, f.file[-6:-5], f.image_id) for f in check_pictures(labels)]


def test_sound_pictures_have_no_fault(read, pictures):
    assert found(read, pictures) == []


def test_without_a_folder_nothing_is_looked_at(read):
    assert list(check_pictures(read(people(COUNT)))) == []


def test_missing_damaged_and_resized_pictures_are_named(read, pictures):
    (pictures[0] / "2.png").unlink()
    content = (pictures[0] / "3.png").read_bytes()
    (pictures[0] / "3.png").write_bytes(content[: len(content) // 2])
    with Image.open(pictures[1] / "4.png") as image:
        image.resize((50, 60)).save(pictures[1] / "4.png")
    assert found(read, pictures) == [
        ("missing_picture", "0", 2),
        ("damaged_picture", "0", 3),
        ("picture_size", "1", 4),
    ]


def test_pictures_outside_their_folder_are_told_and_not_opened(read, pictures, monkeypatch):
    content = people(COUNT)
    inside, outside, absolute, back = content["images"][:4]
    inside["file_name"] = "../train/1.png"
    outside["file_name"] = "../val/2.png"
    absolute["file_name"] = str(pictures[1] / "3.png")
    back["file_name"] = str(pictures[0] / "4.png")
    labels = read(content, img_dirs=pictures[:1])
    opened = []
    whole = pictures_module._look
    note = lambda path, **how: opened.append(path) or whole(path, **how)  # noqa: E731
    monkeypatch.setattr(pictures_module, "_look", note)
    faults = list(check_pictures(labels))
    assert [(f.check, f.image_id) for f in faults] == [
        ("outside_picture", 2),
        ("outside_picture", 3),
    ]
    assert not [path for path in opened if "val" in path]
    assert [Thumbnails(labels)._picture(fault) for fault in faults] == [None, None]


def test_a_name_in_another_case_is_told(read, pictures):
    (pictures[0] / "2.png").rename(pictures[0] / "2.PNG")
    labels = read(people(COUNT), img_dirs=pictures[:1])
    (fault,) = check_pictures(labels)
    assert "'2.PNG' is there" in fault.sentence


def test_a_path_with_colons_and_spaces_is_told_from_its_sentence(read, tmp_path):
    folder = tmp_path / "a: b is c"
    folder.mkdir()
    for number in range(1, COUNT + 1):
        draw(folder / f"{number}.png", number)
    (folder / "3.png").write_bytes(b"")
    labels = read(people(COUNT), img_dirs=(folder,))
    assert [(f.check, f.image_id) for f in check_pictures(labels)] == [("damaged_picture", 3)]


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_an_exif_orientation_is_told(read, pictures, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = orientation >= 5
    with Image.open(pictures[0] / "5.png") as image:
        turned = image.transpose(Image.Transpose.ROTATE_90) if lying else image.copy()
    turned.save(pictures[0] / "5.png", "JPEG", exif=exif, quality=95)
    expected = [] if orientation == 1 else [("exif_turned", "0", 5)]
    assert found(read, pictures) == expected


def again(source, target, mirrored: bool = False, brighter: float = 0, quality: int = 60) -> None:
    """The picture compressed anew."""
    picture = cv2.convertScaleAbs(cv2.imread(str(source)), beta=brighter)
    if mirrored:
        picture = cv2.flip(picture, 1)
    encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    target.write_bytes(encoded.tobytes())


CASES = [
    # the second picture, and what is said of it
    pytest.param("1/4", 0, False, "near_duplicate_across_files", id="across files"),
    pytest.param("1/4", 8, False, "near_duplicate_across_files", id="brighter"),
    pytest.param("1/4", 0, True, "near_duplicate_across_files", id="mirrored"),
    pytest.param("0/4", 0, False, "near_duplicate", id="within a file"),
]


@pytest.mark.parametrize(("place", "brighter", "mirrored", "check"), CASES)
def test_nearly_the_same_picture_is_found(read, pictures, place, brighter, mirrored, check):
    folder, number = place.split("/")
    target = pictures[int(folder)] / f"{number}.png"
    again(pictures[0] / "2.png", target, mirrored, brighter)
    assert found(read, pictures) == [(check, folder, 4)]


@pytest.mark.parametrize(
    ("mirrored", "words"),
    [(False, "is nearly 2.png in"), (True, "is nearly the mirror image of 2.png in")],
    ids=["copy", "mirrored"],
)
def test_another_file_comes_before_a_more_similar_picture(read, pictures, mirrored, words):
    again(pictures[0] / "2.png", pictures[1] / "4.png", mirrored)
    again(pictures[1] / "4.png", pictures[1] / "5.png", quality=95)
    labels = read(people(COUNT), people(COUNT, seed=1), img_dirs=pictures)
    faults = list(check_pictures(labels))
    assert [(f.check, f.image_id) for f in faults] == [
        ("near_duplicate_across_files", 4),
        ("near_duplicate_across_files", 5),
    ]
    assert all(words in f.sentence for f in faults)


def test_of_several_the_most_similar_is_named(read, pictures):
    again(pictures[0] / "2.png", pictures[0] / "3.png", quality=5)
    again(pictures[0] / "3.png", pictures[0] / "4.png", quality=95)
    faults = list(check_pictures(read(people(COUNT), img_dirs=pictures[:1])))
    assert [f.sentence for f in faults] == ["is nearly 2.png", "is nearly 3.png"]
    assert 0.9 <= faults[0].score < faults[1].score <= 1 + 1e-5


@pytest.mark.parametrize(
    ("folder", "check"), [(1, "duplicate_across_files"), (0, "duplicate_picture")]
)
def test_the_same_pixels_are_found_whatever_the_format(read, pictures, folder, check):
    picture = cv2.imread(str(pictures[0] / "2.png"))
    encoded = cv2.imencode(".bmp", picture)[1]
    (pictures[folder] / "4.png").write_bytes(encoded.tobytes())
    assert found(read, pictures) == [(check, str(folder), 4)]


def test_plain_pictures_are_not_alike_by_their_hashes(read, pictures):
    """The hash of a ramp is that of any other ramp of its direction."""
    ramp = np.linspace(0, 255, 300)[None].repeat(260, axis=0)
    cv2.imwrite(str(pictures[0] / "1.png"), ramp.astype(np.uint8))
    steep = np.clip((np.arange(300) - 220) * 20, 0, 255)[None].repeat(260, axis=0)
    cv2.imwrite(str(pictures[0] / "2.png"), steep.astype(np.uint8))
    assert found(read, pictures) == []


def test_pictures_of_one_layout_are_told_apart(read, pictures):
    """As films of several patients on one machine."""
    layout = cv2.GaussianBlur(gray_blobs(5), (0, 0), 25).astype(int)
    for number in range(1, COUNT + 1):
        film = np.clip(layout + gray_blobs(100 + number) // 12 - 10, 0, 255)
        cv2.imwrite(str(pictures[0] / f"{number}.png"), film.astype(np.uint8))
    assert found(read, pictures) == []


def test_a_picture_of_two_files_is_read_once(read, pictures, monkeypatch):
    paths = []

    def read_and_note(path):
        paths.append(path)
        return read_with_depth(path)

    read_with_depth = pictures_module.read_with_depth
    monkeypatch.setattr(pictures_module, "read_with_depth", read_and_note)
    labels = read(people(COUNT), people(COUNT, seed=1), img_dirs=pictures[:1])
    checks = [fault.check for fault in check_pictures(labels)]
    assert checks == ["duplicate_across_files"] * COUNT
    assert len(paths) == len(set(paths)) == COUNT


def deepen(path, bits: int) -> None:
    """The picture in so many of 16 bits."""
    cv2.imwrite(str(path), cv2.imread(str(path)).astype(np.uint16) << (bits - 8))


def test_values_that_fill_a_small_part_of_their_range_are_told(read, pictures):
    for number in (1, 2, 3):
        deepen(pictures[0] / f"{number}.png", 12)
    deepen(pictures[1] / "1.png", 10)
    deepen(pictures[1] / "2.png", 16)
    flat = cv2.imread(str(pictures[1] / "3.png")) // 9 + 100
    cv2.imwrite(str(pictures[1] / "3.png"), flat)
    labels = read(people(COUNT), people(COUNT, seed=1), img_dirs=pictures)
    faults = list(check_pictures(labels))
    assert [(f.check, f.file[-6:-5], f.image_id) for f in faults] == [
        *(("narrow_range", "0", number) for number in (1, 2, 3)),
        *(("narrow_range", "1", number) for number in (1, 3)),
    ]
    assert "takes 12 of 16 bits" in faults[0].sentence
    assert "most others" not in faults[0].sentence
    assert "takes 10 of 16 bits" in faults[3].sentence
    assert "most others of 16 bits are read as of 12" in faults[3].sentence
    assert "lie within 2" in faults[4].sentence


def test_films_have_a_window_and_may_fill_any_part_of_their_range(read, pictures):
    deepen(pictures[0] / "1.png", 12)
    path = str(pictures[0] / "1.png")
    assert not [*pictures_module._narrow_of(pictures_module._look(path, film=True), None)]
    assert [*pictures_module._narrow_of(pictures_module._look(path, film=False), None)]


def test_pictures_that_only_decoding_refuses_end_nothing(read, pictures):
    """Each is told, and what is wrong with the others as well."""
    Image.fromarray(np.ones((260, 300), np.float32)).save(pictures[0] / "1.tif")
    (pictures[0] / "1.tif").rename(pictures[0] / "1.png")
    content = bytearray((pictures[0] / "3.png").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)  # behind a whole header and end
    (pictures[0] / "3.png").write_bytes(bytes(content))
    again(pictures[0] / "2.png", pictures[0] / "4.png")
    labels = read(people(COUNT), img_dirs=pictures[:1])
    assert [(f.check, f.image_id) for f in check_pictures(labels)] == [
        ("damaged_picture", 1),
        ("damaged_picture", 3),
        ("near_duplicate", 4),
    ]
