"""Every reader of the package gives the same pixels of a file, whatever its kind."""

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from equikpt.core.image import image_of_bytes, read_image
from equikpt.core.image_checks import ListedImage, check_images, loaded_size_px
from equikpt.core.radiograph import read_radiograph
from equikpt.data_tools.near_duplicates import fingerprint, read_fingerprints
from equikpt.data_tools.verify.images import _read
from equikpt.datasets import Horse26Dataset
from equikpt.datasets.p1p2 import P1P2Dataset
from equikpt.datasets.transforms import LoadCachedImage, LoadRadiograph
from tests.core.test_radiograph import write_dicom

REPO = Path(__file__).resolve().parents[2]
HEIGHT, WIDTH = 40, 60
READS = {
    "cv2": {"imread", "imreadmulti", "imdecode", "imdecodemulti"},
    "mmcv": {"imread", "imfrombytes"},
    "pydicom": {"dcmread"},
    "Image": {"open"},
}


@pytest.fixture
def colours() -> np.ndarray:
    """(40, 60, 3) BGR, smooth, from 0 to 255, no two corners alike."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.dstack([255 * columns // 59, 6 * rows, 255 - (rows + columns) * 255 // 98]).astype(
        np.uint8
    )


def deep(pixels: np.ndarray, bits: int) -> np.ndarray:
    """The same in more bits, its lower ones not 0, as a camera gives them."""
    noise = np.random.default_rng(0).integers(0, 1 << (bits - 8), pixels.shape)
    return (pixels.astype(np.uint16) << (bits - 8)) + noise.astype(np.uint16)


def write(path: Path, pixels: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), pixels)
    return path


def pillow(path: Path, pixels: np.ndarray, mode: str, **options) -> Path:
    Image.fromarray(pixels[..., ::-1]).convert(mode).save(path, **options)
    return path


def turned(path: Path, pixels: np.ndarray) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6  # what is stored is turned to the right when it is shown
    return pillow(path, np.rot90(pixels), "RGB", exif=exif, quality=100, subsampling=0)


def dicom(path: Path, pixels: np.ndarray, **header) -> Path:
    return Path(write_dicom(path, np.ascontiguousarray(pixels[..., 0]), **header))


KINDS = {
    # how it is written, whether only its first channel, greatest difference from the original
    "png 8": (lambda d, p: write(d / "a.png", p), False, 0),
    "jpg": (lambda d, p: write(d / "a.jpg", p), False, 8),
    "bmp": (lambda d, p: write(d / "a.bmp", p), False, 0),
    "webp": (lambda d, p: pillow(d / "a.webp", p, "RGB", lossless=True), False, 0),
    **{
        f"{kind} {n}": (lambda d, p, kind=kind, n=n: write(d / f"a.{kind}", deep(p, n)), False, 0)
        for kind in ("png", "tif")
        for n in (10, 12, 14, 16)
    },
    "gray 8": (lambda d, p: write(d / "a.png", p[..., 0]), True, 0),
    "gray 12": (lambda d, p: write(d / "a.tif", deep(p[..., 0], 12)), True, 0),
    "palette": (lambda d, p: pillow(d / "a.png", p, "P"), False, 60),
    "alpha": (lambda d, p: write(d / "a.png", np.dstack([p, p[..., 0]])), False, 0),
    "alpha 12": (lambda d, p: write(d / "a.png", deep(np.dstack([p, p[..., 0]]), 12)), False, 0),
    "exif": (lambda d, p: turned(d / "a.jpg", p), False, 8),
    "cmyk": (lambda d, p: pillow(d / "a.jpg", p, "CMYK", quality=100, subsampling=0), False, 8),
    "suffix in capitals": (lambda d, p: write(d / "a.JPG", p), False, 8),
    "wrong suffix": (lambda d, p: write(d / "a.png", p).rename(d / "a.jpg"), False, 0),
    "no suffix": (lambda d, p: write(d / "a.png", p).rename(d / "a"), False, 0),
    "dicom": (lambda d, p: dicom(d / "a.dcm", p), True, 0),
    "dicom 12": (lambda d, p: dicom(d / "a.DCM", deep(p, 12)), True, 1),
    "dicom without suffix": (lambda d, p: dicom(d / "IM0001", deep(p, 12)), True, 1),
    "dicom named by its uid": (lambda d, p: dicom(d / "1.2.840.113", deep(p, 12)), True, 1),
    "monochrome1": (
        lambda d, p: dicom(
            d / "a.dcm", 4095 - deep(p, 12), PhotometricInterpretation="MONOCHROME1"
        ),
        True,
        1,
    ),
}


def readings(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The pixels by every reader that gives them."""
    store = LoadCachedImage(max_bytes=10**6)
    yield "training", LoadCachedImage(max_bytes=0)(dict(img_path=str(path)))["img"]
    yield "training, stored", store(dict(img_path=str(path)))["img"]
    yield "training, from the store", store(dict(img_path=str(path)))["img"]
    yield "drawing", Horse26Dataset.read_image(path)


@pytest.mark.parametrize("kind", KINDS)
def test_all_readers_give_the_same_pixels(tmp_path, colours, kind):
    make, gray, tolerance = KINDS[kind]
    path = make(tmp_path, colours)
    pixels = read_image(path)
    expected = np.dstack([colours[..., 0]] * 3) if gray else colours
    assert pixels.dtype == np.uint8
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(pixels.astype(int) - expected).max() <= tolerance
    for reader, found in readings(path):
        np.testing.assert_array_equal(found, pixels, err_msg=reader)

    digest = hashlib.sha256(pixels.tobytes() + str(pixels.shape).encode()).hexdigest()
    assert _read(str(path), radiograph=False).digest == digest, "verification"
    (found,) = read_fingerprints([path])
    ours = fingerprint(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY))
    assert found.bits == ours.bits, "splits"
    assert loaded_size_px(str(path)) == (WIDTH, HEIGHT)
    for mode in ("header", "full"):
        assert check_images([ListedImage(str(path), WIDTH, HEIGHT)], mode) == []
    if "dicom" not in kind and kind != "monochrome1":
        np.testing.assert_array_equal(image_of_bytes(path.read_bytes(), "a"), pixels)


@pytest.mark.parametrize("kind", ["png 8", "png 12", "tif 16", "gray 12", "dicom 12"])
def test_all_readers_of_radiographs_give_the_same_pixels(tmp_path, colours, kind):
    path = KINDS[kind][0](tmp_path, colours)
    radiograph = read_radiograph(path)
    assert P1P2Dataset.read_image(path).tobytes() == radiograph.tobytes()
    store = LoadRadiograph(max_bytes=10**6)
    for load in (LoadRadiograph(max_bytes=0), store, store):
        np.testing.assert_array_equal(load(dict(img_path=str(path)))["img"], radiograph)
    assert _read(str(path), radiograph=True).digest == (
        hashlib.sha256(radiograph.tobytes() + str(radiograph.shape).encode()).hexdigest()
    )


def decoding_calls(source: str) -> list[str]:
    """Calls and imports by which a source would decode a file past the one reader."""
    nodes = list(ast.walk(ast.parse(source)))
    dotted = [
        (node.value.id, node.attr)
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    ]
    imported = [
        (str(node.module).split(".")[0], alias.name)
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    return [f"{of}.{name}" for of, name in dotted + imported if name in READS.get(of, ())]


def test_no_other_module_decodes_files():
    assert decoding_calls("import cv2\ncv2.imread('a')") == ["cv2.imread"]
    assert decoding_calls("from mmcv import imfrombytes") == ["mmcv.imfrombytes"]
    allowed = {
        REPO / "equikpt/core/image_decoding.py",
        REPO / "equikpt/doctor/checks.py",  # of what it has just encoded
    }
    sources = [*(REPO / "equikpt").rglob("*.py"), *(REPO / "tools").glob("*.py")]
    past = {
        str(path.relative_to(REPO)): calls
        for path in sources
        if path not in allowed and (calls := decoding_calls(path.read_text(encoding="utf-8")))
    }
    assert past == {}
