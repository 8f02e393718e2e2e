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
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 8, 3)).astype(np.uint8)
    cv2.imwrite(str(path), cv2.resize(coarse, (300, 260), interpolation=cv2.INTER_CUBIC))


@pytest.fixture
def folders(tmp_path):
    """Folders of two files' images, all different; the path is one that messages might cut."""
    folders = (tmp_path / "a: b is c", tmp_path / "val")
    for split, folder in enumerate(folders):
        folder.mkdir()
        for number in range(1, COUNT + 1):
            draw(folder / f"{number}.png", 100 * split + number)
    return folders


@pytest.fixture
def check(read, folders):
    """Call ``check()`` for the issues, and code, file and image of each."""

    def call(*img_dirs) -> tuple[list, list]:
        contents = [people(COUNT, seed) for seed in range(len(img_dirs) or 2)]
        issues = list(check_image_files(read(*contents, img_dirs=img_dirs or folders)))
        found = [(f.code, int(f.subject.file[-6:-5]), f.subject.image_id) for f in issues]
        return issues, found

    return call


def write_again(source, target, mirrored=False, brighter=0, quality=60) -> None:
    """The image compressed anew."""
    image = cv2.convertScaleAbs(cv2.imread(str(source)), beta=brighter)
    image = cv2.flip(image, 1) if mirrored else image
    target.write_bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def write_bitmap(source, target) -> None:
    target.write_bytes(cv2.imencode(".bmp", cv2.imread(str(source)))[1])


def deepen(path, bits: int) -> None:
    """The image in so many of 16 bits."""
    cv2.imwrite(str(path), cv2.imread(str(path)).astype(np.uint16) << (bits - 8))


def resize(path) -> None:
    with Image.open(path) as image:
        image.resize((50, 60)).save(path)


def turn(path, orientation: int) -> None:
    """Write it with an EXIF orientation, so that it looks as before."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(path) as image:
        turned = image.transpose(Image.Transpose.ROTATE_90) if orientation >= 5 else image.copy()
    turned.save(path, "JPEG", exif=exif, quality=95)


def overwrite_middle(path) -> None:
    """Damage that only decoding sees: header and end are whole."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)
    path.write_bytes(bytes(content))


def write_floats(path) -> None:
    """A TIFF of a kind that is not read."""
    Image.fromarray(np.ones((260, 300), np.float32)).save(path, "TIFF")


SPOILT = {
    "nothing": (None, lambda path: None),
    "missing": ("missing_image", lambda path: path.unlink()),
    "other case": ("missing_image", lambda path: path.rename(path.with_suffix(".PNG"))),
    "empty": ("damaged_image", lambda path: path.write_bytes(b"")),
    "half": ("damaged_image", lambda path: path.write_bytes(path.read_bytes()[:9000])),
    "decoding alone": ("damaged_image", overwrite_middle),
    "floats": ("damaged_image", write_floats),
    "resized": ("image_size", resize),
    "upright": (None, lambda path: turn(path, 1)),
    "upside down": ("exif_turned", lambda path: turn(path, 3)),
    "lying": ("exif_turned", lambda path: turn(path, 6)),
}


@pytest.mark.parametrize("row", [0, 1], ids=["first file", "second file"])
@pytest.mark.parametrize(("code", "spoil"), SPOILT.values(), ids=SPOILT)
def test_each_mistake_is_found_once_and_ends_nothing(check, folders, row, code, spoil):
    spoil(folders[row] / "4.png")
    write_again(folders[0] / "2.png", folders[0] / "6.png")
    issues, found = check()
    assert found == [*([(code, row, 4)] if code else []), ("near_duplicate", 0, 6)]
    assert ("'4.PNG' is there" in issues[0].message) == (folders[row] / "4.PNG").exists()


def test_no_image_is_opened_without_a_folder(read):
    assert list(check_image_files(read(people(COUNT)))) == []


def test_images_outside_their_folder_are_not_opened(read, folders, monkeypatch):
    content = people(COUNT)
    names = ("../a: b is c/1.png", "../val/2.png", str(folders[1] / "3.png"))
    for image, name in zip(content["images"], (*names, str(folders[0] / "4.png")), strict=False):
        image["file_name"] = name
    labels = read(content, img_dirs=folders[:1])
    opened, whole = [], images_module._read
    note = lambda path, **how: opened.append(path) or whole(path, **how)  # noqa: E731
    monkeypatch.setattr(images_module, "_read", note)
    issues = list(check_image_files(labels))
    assert [(f.code, f.subject.image_id) for f in issues] == [
        ("outside_image", 2),
        ("outside_image", 3),
    ]
    assert len(opened) == COUNT - 2
    assert not [path for path in opened if "val" in path]
    assert [Thumbnails(labels)._image(issue) for issue in issues] == [None, None]


@pytest.mark.parametrize(
    ("row", "write", "options", "code"),
    [
        (1, write_again, {}, "near_duplicate_across_files"),
        (1, write_again, dict(brighter=8), "near_duplicate_across_files"),
        (1, write_again, dict(mirrored=True), "near_duplicate_across_files"),
        (0, write_again, {}, "near_duplicate"),
        (1, write_bitmap, {}, "duplicate_across_files"),
        (0, write_bitmap, {}, "duplicate_image"),
    ],
    ids=["across files", "brighter", "mirrored", "within a file", "same across files", "same"],
)
def test_an_image_that_was_there_before_is_found(check, folders, row, write, options, code):
    write(folders[0] / "2.png", folders[row] / "4.png", **options)
    assert check()[1] == [(code, row, 4)]


@pytest.mark.parametrize(
    ("mirrored", "words"),
    [(False, "is nearly 2.png in"), (True, "is nearly the mirror image of 2.png in")],
    ids=["copy", "mirrored"],
)
def test_another_file_comes_before_a_more_similar_image(check, folders, mirrored, words):
    write_again(folders[0] / "2.png", folders[1] / "4.png", mirrored)
    write_again(folders[1] / "4.png", folders[1] / "5.png", quality=95)
    issues, found = check()
    assert found == [("near_duplicate_across_files", 1, image) for image in (4, 5)]
    assert all(words in issue.message for issue in issues)


def test_of_several_the_most_similar_is_named(check, folders):
    write_again(folders[0] / "2.png", folders[0] / "3.png", quality=5)
    write_again(folders[0] / "3.png", folders[0] / "4.png", quality=95)
    issues, _ = check(folders[0])
    assert [issue.message for issue in issues] == ["is nearly 2.png", "is nearly 3.png"]
    assert 0.9 <= issues[0].score < issues[1].score <= 1 + 1e-5


def test_images_of_one_layout_are_told_apart(check, folders):
    """As radiographs of several patients on one machine."""
    layout = cv2.GaussianBlur(gray_blobs(5), (0, 0), 25).astype(int)
    for number in range(1, COUNT + 1):
        radiograph = np.clip(layout + gray_blobs(100 + number) // 12 - 10, 0, 255)
        cv2.imwrite(str(folders[0] / f"{number}.png"), radiograph.astype(np.uint8))
    assert check()[1] == []


def test_an_image_of_two_files_is_read_once(read, folders, monkeypatch):
    paths, read_with_depth = [], images_module.read_with_depth
    note = lambda path: paths.append(path) or read_with_depth(path)  # noqa: E731
    monkeypatch.setattr(images_module, "read_with_depth", note)
    labels = read(people(COUNT), people(COUNT, seed=1), img_dirs=folders[:1])
    codes = [issue.code for issue in check_image_files(labels)]
    assert codes == ["duplicate_across_files"] * COUNT
    assert len(paths) == len(set(paths)) == COUNT


def test_values_that_fill_a_small_part_of_their_range_are_found(check, folders):
    for row, number, bits in ((0, 1, 12), (0, 2, 12), (0, 3, 12), (1, 1, 10), (1, 2, 16)):
        deepen(folders[row] / f"{number}.png", bits)
    cv2.imwrite(str(folders[1] / "3.png"), cv2.imread(str(folders[1] / "3.png")) // 9 + 100)
    issues, found = check()
    images = ((0, 1), (0, 2), (0, 3), (1, 1), (1, 3))
    assert found == [("narrow_range", *image) for image in images]
    assert "takes 12 of 16 bits" in issues[0].message
    assert "most others" not in issues[0].message
    assert "takes 10 of 16 bits" in issues[3].message
    assert "most others of 16 bits are read as of 12" in issues[3].message
    assert "lie within 2" in issues[4].message


@pytest.mark.parametrize("radiograph", [True, False])
def test_radiographs_have_a_window_and_may_fill_any_part_of_their_range(folders, radiograph):
    deepen(folders[0] / "1.png", 12)
    content = images_module._read(str(folders[0] / "1.png"), radiograph=radiograph)
    assert bool([*images_module._narrow_reasons(content, None)]) == (not radiograph)
