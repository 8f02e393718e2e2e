import cv2
import mmcv
import numpy as np
import pytest
from PIL import Image

from equikpt.core.image import ImageError, each_image, failures, read_image
from equikpt_runtime.images import as_image


@pytest.fixture
def colours() -> np.ndarray:
    """(40, 60, 3) BGR, smooth, no two corners alike."""
    rows, columns = np.mgrid[:40, :60]
    return np.dstack([4 * columns, 6 * rows, 255 - 2 * rows - 2 * columns]).astype(np.uint8)


def write(path, pixels) -> str:
    assert cv2.imwrite(str(path), pixels)
    return str(path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_an_image_is_turned_as_training_turns_it(tmp_path, colours, suffix, orientation):
    path = tmp_path / f"turned{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(colours[..., ::-1]).save(path, exif=exif)
    trained_on = mmcv.imfrombytes(path.read_bytes())  # what MMPose's LoadImage calls
    image = read_image(path)
    np.testing.assert_array_equal(image, trained_on)
    if suffix == ".jpg":
        assert image.shape[:2] == ((60, 40) if orientation >= 5 else (40, 60))


def test_gray_becomes_three_channels_and_alpha_is_left_out(tmp_path, colours):
    gray, clear = colours[..., 0], np.dstack([colours, np.zeros((40, 60), np.uint8)])
    image = read_image(write(tmp_path / "gray.png", gray))
    np.testing.assert_array_equal(image, np.dstack([gray] * 3))
    np.testing.assert_array_equal(read_image(write(tmp_path / "a.png", clear)), colours)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_deep_images_keep_the_upper_bits_of_those_used(tmp_path, colours, bits, suffix):
    deep = colours.astype(np.uint16) << (bits - 8)
    path = write(tmp_path / f"deep{suffix}", deep)
    np.testing.assert_array_equal(read_image(path), colours)
    if bits == 16:
        np.testing.assert_allclose(colours.astype(int), cv2.imread(path), atol=1)


def test_bytes_after_the_end_do_no_harm(tmp_path, colours):
    path = tmp_path / "more.jpg"
    path.write_bytes(cv2.imencode(".jpg", colours)[1].tobytes() + b"camera's own notes")
    assert read_image(path).shape == (40, 60, 3)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((2, 9, 9, 3), np.uint8), "pass several images as a list"),
        (np.zeros((9, 9, 2), np.uint8), r"\(9, 9, 2\)"),
        (np.zeros((0, 9, 3), np.uint8), r"\(0, 9, 3\)"),
        (np.zeros((9, 9, 3), np.float32), "got float32"),
    ],
    ids=["several", "two channels", "empty", "floats"],
)
def test_arrays_that_are_no_images_are_refused(pixels, message):
    with pytest.raises(ValueError, match=message):
        as_image(pixels)


def test_a_dicom_file_is_read_as_a_radiograph(tmp_path, monkeypatch):
    path = tmp_path / "radiograph.dcm"
    path.write_bytes(b"")
    radiograph = np.full((3, 4, 3), 7, np.uint8)
    monkeypatch.setattr("equikpt.core.image.read_radiograph", lambda name: radiograph)
    assert read_image(path) is radiograph


WORK = {"bad": ImageError("expected an\nimage"), "a.dcm": ImportError("expected pydicom")}


def length(path: str) -> int:
    if error := {**WORK, "full": OSError("no space left")}.get(path):
        raise error
    return len(path)


def test_a_file_that_fails_is_a_case_of_its_own_and_listed():
    assert list(each_image(["a", "bad", "a.dcm", "bcd"], length)) == [
        ("a", 1, ""),
        ("bad", None, "expected an image"),
        ("a.dcm", None, "expected pydicom"),
        ("bcd", 3, ""),
    ]
    assert failures([], 3) == []
    assert failures(["a: x"], 3, "counted") == ["1 of 3 images could not be counted:", "  a: x"]


def test_what_concerns_all_files_is_raised():
    cases = each_image(["a", "full"], length)
    assert next(cases)[1] == 1
    with pytest.raises(OSError, match="no space left"):
        next(cases)
