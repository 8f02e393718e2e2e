from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equikpt.data_tools.convert.images import (
    ImageFolders,
    drop_missing,
    labelled_sizes,
    refuse_unknown_sizes,
    sizes_px,
)
from equikpt.data_tools.convert.names import output_names, safe_name, split_named
from equikpt.data_tools.convert.records import LabelledImage, SourceDataset


def image(path: Path, width=6, height=4, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path, **options)
    return path


FRAMES = [f"clip{clip}/{frame}.png" for clip in (0, 1) for frame in (1, 2)]


@pytest.mark.parametrize(
    ("files", "names", "expected"),
    [
        pytest.param("a/x.png y.png", ["a/x.png"], "a/x.png", id="with its folder"),
        pytest.param("a/x.png y.png", ["labelled/y.png"], "y.png", id="without"),
        pytest.param("one/two/x.png", ["x.png"], "one/two/x.png", id="deep"),
        pytest.param("one/y.png two/y.png", ["y.png"], "", id="two deep"),
        pytest.param("a/x/1.png b/x/1.png", ["/else/x/1.png"], "", id="tail of two"),
        pytest.param("x.png", ["q.png", "x.png"], "x.png", id="second name"),
        pytest.param("x.png", ["z.png"], "", id="missing"),
    ],
)
def test_an_image_is_found_by_the_tail_of_its_path(tmp_path, files, names, expected):
    for name in files.split():
        image(tmp_path / name)
    folders = ImageFolders([tmp_path / "nowhere", tmp_path], root=tmp_path)
    assert folders.find_all([names]) == [tmp_path / (expected or Path(names[0]).name)]


def test_a_name_that_no_file_can_have_is_refused(tmp_path):
    with pytest.raises(ValueError, match="name an image"):
        ImageFolders([tmp_path], root=tmp_path).find_all([["x" * 5000 + ".png"]])


@pytest.mark.parametrize(
    "images",
    [
        pytest.param([["video1/1.png"], ["video2/1.png"]], id="videos"),
        pytest.param([["01234567-1.png", "1.png"], ["89abcdef-1.png", "1.png"]], id="uploads"),
    ],
)
def test_an_image_is_never_taken_for_another(tmp_path, images):
    image(tmp_path / "1.png")
    found = ImageFolders([tmp_path], root=tmp_path).find_all(images)
    assert not any(path.exists() for path in found)
    there = image(tmp_path / images[0][0])
    assert ImageFolders([tmp_path], root=tmp_path).find_all(images)[0] == there


@pytest.mark.parametrize(
    "prefix",
    ["C:\\labels\\deer\\", "/data/me/labels/", "../../labels/", "D:/x/deer/"],
    ids=["windows", "absolute", "upwards", "windows slashes"],
)
def test_the_longest_common_tail_finds_an_image(tmp_path, prefix):
    files = [image(tmp_path / "images/deer" / name) for name in FRAMES]
    image(tmp_path / "images/other/clip0/3.png")
    labels = [f"{prefix}{name}".replace("/", "\\" if "\\" in prefix else "/") for name in FRAMES]
    folders = ImageFolders([tmp_path / "images"], root=tmp_path / "images")
    assert folders.find_all([[name] for name in labels]) == files
    assert folders.find_all([[name] for name in labels[:1] * 2]) == files[:1] * 2
    assert output_names(labels) == FRAMES
    assert output_names(labels[:2]) == ["1.png", "2.png"]


def test_sizes_are_read_and_damage_is_named(tmp_path):
    good = image(tmp_path / "a.png", 7, 5)
    assert sizes_px([good, tmp_path / "none.png"]) == {good: (7, 5)}
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"b.png is damaged"):
        sizes_px([tmp_path / "b.png"])


def labelled_size(path: Path, stated, points) -> tuple[tuple[int, int], bool]:
    """The size, and if there is a note about it."""
    sizes, notes = labelled_sizes([path.name], [path], [stated], [points])
    return sizes[0], bool(notes)


INSIDE, BEYOND = np.array([[3.0, 3]]), np.array([[5.5, 3]])


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        pytest.param((6, 4), ((6, 4), False), id="right"),
        pytest.param((4, 6), ((6, 4), True), id="swapped"),
        pytest.param(None, ((6, 4), False), id="not stated"),
        pytest.param((0, 0), ((6, 4), False), id="stated as 0"),
    ],
)
def test_the_image_decides_about_its_size(tmp_path, stated, expected):
    assert labelled_size(image(tmp_path / "a.png"), stated, INSIDE) == expected


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
    assert labelled_size(Path("a.png"), stated, points)[0] == expected


def test_another_size_is_refused_and_an_exif_tag_no_swap(tmp_path):
    with pytest.raises(ValueError, match="labelled as 12 x 8 px, and .* has 6 x 4"):
        labelled_size(image(tmp_path / "a.png"), (12, 8), INSIDE)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = image(tmp_path / "a.jpg", exif=exif)
    assert labelled_size(path, (4, 6), INSIDE) == ((4, 6), False)
    with pytest.raises(ValueError, match="EXIF tag turns"):
        labelled_size(path, (6, 4), INSIDE)


def listed(path: Path, width=6) -> LabelledImage:
    return LabelledImage(path, width, 4)


def test_some_missing_images_are_left_out_and_noted(tmp_path):
    images = [listed(image(tmp_path / f"{index}.png")) for index in range(9)]
    dataset = SourceDataset({"train": images, "val": [listed(tmp_path / "lost.png")]})
    drop_missing(dataset)
    assert [len(images) for images in dataset.splits.values()] == [9, 0]
    (note,) = dataset.notes
    assert note.startswith("1 of 10 images are missing")


def test_many_missing_images_stop(tmp_path):
    images = [listed(image(tmp_path / "Here.png")), listed(tmp_path / "here.png")]
    with pytest.raises(FileNotFoundError, match="'Here.png'"):
        drop_missing(SourceDataset({"train": images}))
    with pytest.raises(FileNotFoundError, match="x.png"):
        drop_missing(SourceDataset({"train": [listed(tmp_path / "x.png")]}))


def test_an_unknown_size_stops(tmp_path):
    refuse_unknown_sizes(SourceDataset({"train": [listed(tmp_path / "a.png")]}))
    with pytest.raises(FileNotFoundError):
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


@pytest.mark.parametrize("given", ["", "..", "a/..", "/", "a\0.png", "x" * 256])
def test_what_names_no_file_is_refused(given):
    with pytest.raises(ValueError, match="expected a file name"):
        safe_name(given)


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("person_keypoints_val2017", "val"),
        ("ap10k-train-split1", "train"),
        ("valid", "val"),
        ("Test", "test"),
        ("trainer", ""),
        ("_annotations.coco", ""),
    ],
)
def test_splits_are_read_off_names(text, split):
    assert split_named(text) == split
