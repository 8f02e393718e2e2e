from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equikpt.data_tools.convert.images import (
    ImageFolders,
    SizeLedger,
    drop_missing,
    output_names,
    refuse_unknown_sizes,
    sizes_px,
)
from equikpt.data_tools.convert.records import LabelledImage, SourceDataset, safe_name


def image(path: Path, width=6, height=4, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path, **options)
    return path


def test_a_image_is_found_with_and_without_its_folders(tmp_path):
    a, b = image(tmp_path / "a/x.png"), image(tmp_path / "y.png")
    folders = ImageFolders([tmp_path / "nowhere", tmp_path])
    found = folders.find_all([["a/x.png"], ["labelled/y.png"], ["z.png"], ["q.png", "x.png"]])
    assert found == [a, b, tmp_path / "z.png", tmp_path / "q.png"]


def test_the_root_is_searched_through(tmp_path):
    deep = image(tmp_path / "one/two/x.png")
    for name in ("three/y.png", "four/y.png"):
        image(tmp_path / name)
    found = ImageFolders([tmp_path], root=tmp_path).find_all([["x.png"], ["y.png"]])
    assert found == [deep, tmp_path / "y.png"]


def test_a_video_is_never_taken_for_another(tmp_path):
    """Frames of two videos share their names; one that is missing is missing."""
    there = image(tmp_path / "video1/img1.png")
    found = ImageFolders([tmp_path], root=tmp_path).find_all(
        [["video1/img1.png"], ["video2/img1.png"]]
    )
    assert found == [there, tmp_path / "video2/img1.png"]


FRAMES = [f"clip{clip}/{frame}.png" for clip in (0, 1) for frame in (1, 2)]


@pytest.mark.parametrize(
    "prefix",
    ["C:\\labels\\deer\\", "/data/me/labels/", "../../labels/", "D:/x/deer/"],
    ids=["windows", "absolute", "upwards", "windows slashes"],
)
def test_the_longest_common_tail_finds_a_image(tmp_path, prefix):
    files = [image(tmp_path / "images/deer" / name) for name in FRAMES]
    image(tmp_path / "images/other/clip0/3.png")
    labels = [f"{prefix}{name}".replace("/", "\\" if "\\" in prefix else "/") for name in FRAMES]
    folders = ImageFolders([tmp_path / "images"], root=tmp_path / "images")
    assert folders.find_all([[name] for name in labels]) == files
    assert folders.find_all([[name] for name in labels[:1] * 2]) == files[:1] * 2
    assert output_names(labels) == FRAMES
    assert output_names(labels[:2]) == ["1.png", "2.png"]


def test_a_tail_that_two_files_have_tells_nothing(tmp_path):
    for name in ("a/x/1.png", "b/x/1.png"):
        image(tmp_path / name)
    (found,) = ImageFolders([tmp_path], root=tmp_path).find_all([["/else/x/1.png"]])
    assert not found.exists()


def test_two_uploads_of_one_name_are_not_one_image(tmp_path):
    image(tmp_path / "a.png")
    images = [["01234567-a.png", "a.png"], ["89abcdef-a.png", "a.png"]]
    assert not any(path.exists() for path in ImageFolders([tmp_path]).find_all(images))


def test_sizes_are_read_and_damage_is_named(tmp_path):
    good = image(tmp_path / "a.png", 7, 5)
    assert sizes_px([good, tmp_path / "none.png"]) == {good: (7, 5)}
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"b.png is damaged"):
        sizes_px([tmp_path / "b.png"])


INSIDE, BEYOND = np.array([[3.0, 3]]), np.array([[5.5, 3]])


@pytest.mark.parametrize(
    ("stated", "points", "expected", "told"),
    [
        pytest.param((6, 4), INSIDE, (6, 4), False, id="right"),
        pytest.param((4, 6), INSIDE, (6, 4), True, id="swapped"),
        pytest.param(None, INSIDE, (6, 4), False, id="not stated"),
        pytest.param((0, 0), INSIDE, (6, 4), False, id="stated as 0"),
    ],
)
def test_the_image_decides_about_its_size(tmp_path, stated, points, expected, told):
    path = image(tmp_path / "a.png")
    ledger = SizeLedger(sizes_px([path]))
    assert ledger.settle("a.png", path, stated, points) == expected
    assert bool(ledger.notes()) is told


@pytest.mark.parametrize(
    ("stated", "points", "expected"),
    [
        pytest.param((4, 6), INSIDE, (4, 6), id="nothing speaks against it"),
        pytest.param((4, 6), BEYOND, (6, 4), id="points beyond it"),
        pytest.param((4, 5), BEYOND * 2, (4, 5), id="points beyond either"),
        pytest.param(None, INSIDE, (0, 0), id="not known"),
    ],
)
def test_without_the_image_the_points_decide(stated, points, expected):
    assert SizeLedger({}).settle("a.png", Path("a.png"), stated, points) == expected


def test_a_image_of_another_size_is_refused(tmp_path):
    path = image(tmp_path / "a.png")
    ledger = SizeLedger(sizes_px([path]))
    with pytest.raises(ValueError, match="labelled as 12 x 8 px, and .* has 6 x 4"):
        ledger.settle("a.png", path, (12, 8), INSIDE)


def test_a_image_that_its_tag_turns_is_no_swap(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = image(tmp_path / "a.jpg", exif=exif)
    ledger = SizeLedger(sizes_px([path]))
    assert ledger.settle("a.jpg", path, (4, 6), INSIDE) == (4, 6)
    with pytest.raises(ValueError, match="EXIF tag turns"):
        ledger.settle("a.jpg", path, (6, 4), INSIDE)


def listed(path: Path, width=6) -> LabelledImage:
    return LabelledImage(path, width, 4)


def test_some_missing_images_are_left_out_and_told(tmp_path):
    images = [listed(image(tmp_path / f"{index}.png")) for index in range(9)]
    dataset = SourceDataset({"train": images, "val": [listed(tmp_path / "lost.png")]})
    drop_missing(dataset)
    assert [len(images) for images in dataset.splits.values()] == [9, 0]
    assert dataset.notes == [
        "1 of 10 images are missing on disk and left out with their labels (lost.png)"
    ]


def test_many_missing_images_stop(tmp_path):
    images = [listed(image(tmp_path / "Here.png")), listed(tmp_path / "here.png")]
    with pytest.raises(FileNotFoundError, match=r"1 of 2 images .*'Here.png' is there"):
        drop_missing(SourceDataset({"train": images}))
    with pytest.raises(FileNotFoundError, match="say with --images where .*, or pray"):
        drop_missing(SourceDataset({"train": [listed(tmp_path / "x.png")]}), ", or pray")


def test_an_unknown_size_stops(tmp_path):
    refuse_unknown_sizes(SourceDataset({"train": [listed(tmp_path / "a.png")]}))
    with pytest.raises(FileNotFoundError, match=r"sizes of 1 images are not known \(a.png\)"):
        refuse_unknown_sizes(SourceDataset({"train": [listed(tmp_path / "a.png", width=0)]}))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a.png", "a.png"),
        ("video/a.png", "video/a.png"),
        ("./video\\a.png", "video/a.png"),
        ("/data/me/a.png", "a.png"),
        ("C:\\me\\a.png", "a.png"),
        ("../../etc/a.png", "a.png"),
    ],
)
def test_no_name_leads_out_of_the_folder(given, expected):
    assert safe_name(given) == expected


@pytest.mark.parametrize("given", ["", "..", "a/..", "/"])
def test_what_names_no_file_is_refused(given):
    with pytest.raises(ValueError, match="expected a file name"):
        safe_name(given)
