import os
import pickle
import socket
import struct
import zlib
from unittest.mock import Mock

import cv2
import numpy as np
import pydicom
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from equikpt.core import image_decoding
from equikpt.core.errors import is_user_error
from equikpt.core.image import read_image
from equikpt.core.image_checks import ListedImage, check_images, loaded_size_px
from equikpt.core.image_decoding import MAX_MEGAPIXELS_VARIABLE, decode, is_dicom
from equikpt.core.radiograph import read_radiograph
from equikpt.datasets.transforms import LoadCachedImage, LoadRadiograph
from equikpt_runtime.images import ImageError, MissingImageError
from tests.core.test_radiograph import RAMP, write_dicom


def png_of_size(path, width: int, height: int) -> str:
    """A PNG whose header claims a size and that holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        code = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + code

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))
    return str(path)


READERS = [
    pytest.param(read_image, id="image"),
    pytest.param(read_radiograph, id="radiograph"),
    pytest.param(loaded_size_px, id="size"),
    pytest.param(lambda path: LoadCachedImage(max_bytes=10)(dict(img_path=str(path))), id="train"),
    pytest.param(lambda path: LoadRadiograph(max_bytes=9)(dict(img_path=str(path))), id="cached"),
]


@pytest.mark.parametrize("read", READERS)
def test_a_size_above_the_limit_is_refused_by_its_header(tmp_path, monkeypatch, read):
    monkeypatch.setattr(cv2, "imdecode", None)  # and nothing of it is decoded
    path = png_of_size(tmp_path / "a.png", 60_000, 60_000)
    with pytest.raises(ImageError, match=r"60000 x 60000 px .* limit of 250 .*--max-megapixels 36"):
        read(path)
    huge = write_dicom(tmp_path / "a.dcm", RAMP, Rows=60_000, Columns=60_000)
    with pytest.raises(ImageError, match="limit of 250 megapixels"):
        read(str(huge))


def test_the_limit_is_raised_and_lowered_by_a_variable(tmp_path, monkeypatch):
    path = str(tmp_path / "a.png")
    cv2.imwrite(path, np.zeros((100, 110), np.uint8))
    monkeypatch.setenv(MAX_MEGAPIXELS_VARIABLE, "0.011")
    assert read_image(path).shape == (100, 110, 3)
    monkeypatch.setenv(MAX_MEGAPIXELS_VARIABLE, "0.0109")
    with pytest.raises(ImageError, match="0.0109"):
        read_image(path)
    monkeypatch.setenv(MAX_MEGAPIXELS_VARIABLE, "many")
    with pytest.raises(ValueError, match="EQUIKPT_MAX_MEGAPIXELS"):
        read_image(path)


def test_pillows_own_limit_of_size_does_not_come_first(tmp_path, monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    path = str(tmp_path / "a.png")
    cv2.imwrite(path, np.zeros((100, 110), np.uint8))
    assert read_image(path).shape == (100, 110, 3)
    assert not recwarn.list


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(path.name)  # which has to be short


@pytest.mark.parametrize("name", ["a.jpg", "a.dcm", "a"])
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (os.mkfifo, "a pipe"),
        (make_socket, "a socket"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
        (lambda path: path.mkdir(), "a folder"),
    ],
    ids=["pipe", "socket", "device", "folder"],
)
@pytest.mark.parametrize("read", READERS)
def test_what_is_no_file_is_refused_and_not_waited_for(
    tmp_path, monkeypatch, read, make, kind, name
):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / name)
    with pytest.raises(ImageError, match=f"it is .*{kind}.*; give a file"):
        read(str(tmp_path / name))


def without_rows(path):
    write_dicom(path, RAMP)
    radiograph = pydicom.dcmread(path)
    del radiograph.Rows
    radiograph.save_as(path)


def begins_with(start: bytes):
    return lambda path: path.write_bytes(start + bytes(range(200)))


def half_of_noise(path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = cv2.imencode(path.suffix, noise)[1].tobytes()
    path.write_bytes(content[: len(content) // 2])


DAMAGED = {
    **dict.fromkeys(("cut.jpg", "cut.png"), half_of_noise),
    "empty.jpg": lambda path: path.touch(),
    "text.jpg": lambda path: path.write_text("no image"),
    "no rows.dcm": without_rows,
    "cut.dcm": lambda path: path.write_bytes(write_dicom(path, RAMP).read_bytes()[:900]),
    "noise.dcm": lambda path: path.write_bytes(np.random.default_rng(0).bytes(500)),
    "noise.png": begins_with(b"\x89PNG\r\n\x1a\n"),
    "noise.tif": begins_with(b"II*\0"),
    "noise.jpg": begins_with(b"\xff\xd8\xff\xe0"),
    "noise.webp": begins_with(b"RIFF\xff\0\0\0WEBPVP8 "),
    "script.eps": lambda path: path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
}


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("kind", DAMAGED)
def test_whatever_a_decoder_raises_is_one_sentence(tmp_path, read, kind):
    path = tmp_path / kind
    DAMAGED[kind](path)
    if read is loaded_size_px and kind.startswith("cut"):
        pytest.skip("its header is whole")
    with pytest.raises(ImageError) as caught:
        read(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [MemoryError(), cv2.error("wrong"), struct.error("odd"), RecursionError("deep")],
    ids=repr,
)
def test_any_type_of_error_becomes_one(tmp_path, monkeypatch, error):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((9, 9), np.uint8))
    monkeypatch.setattr(cv2, "imdecode", Mock(side_effect=error))
    with pytest.raises(ImageError, match=r"a\.png"):
        decode(tmp_path / "a.png")


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_32_bits_are_refused_before_training_and_while_reading(tmp_path, dtype):
    path = str(tmp_path / "a.tif")
    Image.fromarray(np.ones((9, 9), dtype)).save(path)
    for read in (read_image, read_radiograph):
        with pytest.raises(ImageError, match=r"its values are of .*32.*; export it with 8 or 16"):
            read(path)
    for mode in ("header", "full"):
        (issue,) = check_images([ListedImage(path, 9, 9)], mode)
        assert (issue.code, issue.severity) == ("damaged_image", "error")
        assert issue.subject.image == path


def test_a_name_without_a_file_is_no_damaged_file(tmp_path):
    for name in ("gone.png", "gone.dcm", "gone"):
        with pytest.raises(MissingImageError, match=f"{name}, found no such file"):
            read_image(tmp_path / name)


def test_a_file_that_may_not_be_read_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"x")
    monkeypatch.setattr("builtins.open", Mock(side_effect=PermissionError(13, "Permission denied")))
    with pytest.raises(ImageError, match="Permission denied"):
        read_image(tmp_path / "a.png")


def test_dicom_is_known_by_suffix_or_magic_and_no_image_is_opened_for_it(tmp_path, monkeypatch):
    radiograph = write_dicom(tmp_path / "IM0001", RAMP)
    (tmp_path / "short").write_bytes(b"DICM")
    assert is_dicom(radiograph)
    assert not is_dicom(tmp_path / "short")
    assert not is_dicom(tmp_path / "gone")
    monkeypatch.setattr(image_decoding, "open", None, raising=False)
    assert is_dicom("a.DCM")
    assert not is_dicom("a.JPG")


def test_an_error_of_a_loaders_worker_is_the_same_sentence(tmp_path):
    path = str(tmp_path / "gone.png")
    loader = DataLoader(
        [path], num_workers=1, multiprocessing_context="fork", collate_fn=lambda x: read_image(*x)
    )
    with pytest.raises(MissingImageError) as caught:
        next(iter(loader))
    assert str(caught.value) == f"expected an image in {path}, found no such file; correct the name"
    assert is_user_error(caught.value)
    again = pickle.loads(pickle.dumps(ImageError.of("a", "it is b", "c")))
    assert (str(again), again.reason) == ("expected an image in a, it is b; c", "it is b")
