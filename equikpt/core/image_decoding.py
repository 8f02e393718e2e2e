"""Decode image files: the one module that reads through Pillow, OpenCV and pydicom.

Each of the three raises what it likes, from ``struct.error`` to ``MemoryError``; here it becomes an
:class:`ImageError` with one sentence. A header is read first, so that no memory is taken for an
image that is too large.
"""

from __future__ import annotations

import io
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

from equikpt.core.machine import MAX_MEGAPIXELS_VARIABLE
from equikpt_runtime.images import ImageError, MissingImageError

DICOM_SUFFIXES = (".dcm", ".dicom")
RASTER_SUFFIXES = (
    ".avif", ".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp",
)  # fmt: skip
"""Suffixes of what is no DICOM; a file of any other name is looked into."""

PILLOW_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF", "PPM", "JPEG2000", "AVIF")
"""Formats that OpenCV decodes too. Pillow knows others, of which EPS would start Ghostscript."""

MAX_MEGAPIXELS = 250.0
"""Largest image that is read; ``EQUIKPT_MAX_MEGAPIXELS`` sets another limit."""

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_PNG_START, _PNG_END = b"\x89PNG", b"IEND\xaeB`\x82"
_EXIF_ORIENTATION = 0x0112
_DICOM_MAGIC_AT, _DICOM_MAGIC = 128, b"DICM"
if "OPENCV_LOG_LEVEL" not in os.environ:
    cv2.utils.logging.setLogLevel(0)  # what it prints of a damaged file becomes one sentence here


class ImageHeader(NamedTuple):
    """Width and height as stored, and EXIF's number for how the image is turned; 1 is upright."""

    size_px: tuple[int, int]
    orientation: int = 1


class _LimitError(ValueError):
    """A limit of size that is none: no fault of the file."""


def is_dicom(path: str | os.PathLike) -> bool:
    """Return True for a DICOM file: by its suffix or, where that says nothing, by its magic."""
    name = os.fspath(path)
    suffix = os.path.splitext(name)[1].lower()
    if suffix in DICOM_SUFFIXES or suffix in RASTER_SUFFIXES:
        return suffix in DICOM_SUFFIXES
    if not os.path.isfile(name):  # opening a pipe would wait for its writer
        return False
    with reading(name), open(name, "rb") as file:
        return file.read(_DICOM_MAGIC_AT + len(_DICOM_MAGIC))[_DICOM_MAGIC_AT:] == _DICOM_MAGIC


def read_header(path: str | os.PathLike) -> ImageHeader:
    """Read size and orientation of an image file that is no DICOM, without its pixels.

    Raises:
        ImageError: No file, none that is an image, or one above the limit of size.
    """
    with _opened(path) as file:
        image = _identified(file, os.fspath(path))
        # The base method: that of PNG decodes the whole image to look for a late EXIF chunk.
        turn = Image.Image.getexif(image).get(_EXIF_ORIENTATION)
        return ImageHeader(image.size, turn if isinstance(turn, int) else 1)


def is_whole_at_end(path: str | os.PathLike) -> bool:
    """Return True for a JPEG or PNG that ends as it should; others tell only when decoded."""
    with _opened(path) as file:
        start = file.read(4)
        file.seek(max(-64, -os.fstat(file.fileno()).st_size), os.SEEK_END)
        return _ends_well(start, file.read())


def decode(path: str | os.PathLike, gray: bool = False) -> np.ndarray:
    """Decode an image file that is no DICOM, in the depth that it has.

    An EXIF orientation is applied, alpha is left out, palettes become colours.

    Args:
        path: A local file.
        gray: Whether to give (H, W) gray values instead of (H, W, 3) BGR.

    Returns:
        uint8 or uint16.

    Raises:
        ImageError: No file, none that is an image, one that is cut, above the limit of size, of
            other than 8 or 16 bits, or that OpenCV does not decode.
    """
    with _opened(path) as file:
        image = _identified(file, os.fspath(path))
        file.seek(0)
        return _decode(file.read(), os.fspath(path), image, gray)


def decode_bytes(content: bytes, name: str) -> np.ndarray:
    """Decode what an image file holds; ``name`` is for messages, the rest as :func:`decode`."""
    with reading(name):
        return _decode(content, name, _identified(io.BytesIO(content), name), gray=False)


def decode_strictly(path: str | os.PathLike) -> None:
    """Decode with Pillow, which sees damage within a PNG or JPEG that OpenCV passes over.

    Raises:
        ImageError: As :func:`decode`.
    """
    with _opened(path) as file:
        _identified(file, os.fspath(path)).load()


def read_dicom(path: str | os.PathLike, pixels: bool = False) -> Any:
    """Read a DICOM file of pixels, or its header alone, as pydicom's ``Dataset``.

    Raises:
        ImageError: No file, none that pydicom reads, one without pixels, or above the limit.
        ImportError: pydicom is not installed.
    """
    try:
        import pydicom
    except ImportError as error:
        raise ImportError(
            f"expected pydicom for {path}, it is not installed; pip install -r "
            "requirements/dicom.txt"
        ) from error
    with _opened(path) as file:
        dataset = pydicom.dcmread(file, stop_before_pixels=not pixels)
        height, width = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
        frames = int(dataset.get("NumberOfFrames") or 1)
        if not (height and width):
            raise ImageError.of(path, "its DICOM header states no size", "export it again")
        _refuse_large(path, width, height, frames)
        return dataset


@contextmanager
def reading(path: str | os.PathLike) -> Iterator[None]:
    """Turn whatever is raised inside into an :class:`ImageError` about the file."""
    try:
        yield
    except (ImageError, ImportError, _LimitError):
        raise
    except Exception as error:  # decoders raise almost anything; each means the same here
        text = " ".join(str(error).split()) or type(error).__name__
        text = "out of memory" if isinstance(error, MemoryError) else text
        reason = f"it is damaged or cannot be decoded ({text})"
        raise ImageError.of(path, reason, "copy or export it again") from error


@contextmanager
def _opened(path: str | os.PathLike) -> Iterator[IO[bytes]]:
    """Open a regular file that is not empty; errors inside are those of :func:`reading`."""
    with reading(path):
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            raise MissingImageError.of(path, "found no such file", "correct the name") from None
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for its writer
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, a socket or a device"
            raise ImageError.of(path, f"it is {kind}", "give a file")
        if not status.st_size:
            raise ImageError.of(path, "the file is empty", "copy it again")
        with open(path, "rb") as file:
            yield file


def _identified(file: IO[bytes], name: str) -> Image.Image:
    """Open an image with Pillow, as ``Image.open``, whose limit of size is another, and fixed."""
    Image.init()
    prefix = file.read(16)
    for kind in PILLOW_FORMATS:
        factory, accepts = Image.OPEN.get(kind, (None, None))
        if factory is not None and accepts is not None and accepts(prefix) is True:
            file.seek(0)
            image = factory(file, name)
            _refuse_large(name, *image.size)
            return image
    kinds = ", ".join(PILLOW_FORMATS)
    raise ImageError.of(name, f"it is none of {kinds} or DICOM", "export it as PNG")


def _decode(content: bytes, name: str, image: Image.Image, gray: bool) -> np.ndarray:
    if content.startswith((_JPEG_START, _PNG_START)) and not _ends_well(content, content):
        image.load()  # refuses a cut image, where older OpenCV fills it with gray
    kind = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), kind | cv2.IMREAD_ANYDEPTH)
    if pixels is None and image.mode not in ("F", "I"):
        reason = "it is damaged or of a kind that OpenCV cannot decode"
        raise ImageError.of(name, reason, "export it as PNG")
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        depth = "32 bits" if pixels is None else str(pixels.dtype)
        raise ImageError.of(name, f"its values are of {depth}", "export it with 8 or 16 bits")
    return pixels


def _refuse_large(name: str | os.PathLike, width: int, height: int, frames: int = 1) -> None:
    text = os.environ.get(MAX_MEGAPIXELS_VARIABLE) or str(MAX_MEGAPIXELS)
    try:
        limit = float(text)
    except ValueError:
        limit = 0.0
    if not limit > 0:
        raise _LimitError(
            f"expected {MAX_MEGAPIXELS_VARIABLE} to be a number above 0, got {text!r}; the "
            f"default is {MAX_MEGAPIXELS:g}"
        )
    megapixels = width * height * frames / 1e6
    if megapixels > limit:
        raise ImageError.of(
            name,
            f"the {width} x {height} px of its header are above the limit of {limit:g} megapixels",
            f"raise it by --max-megapixels {math.ceil(megapixels)} or {MAX_MEGAPIXELS_VARIABLE}",
        )


def _ends_well(start: bytes, end: bytes) -> bool:
    if start.startswith(_JPEG_START):
        return end[-64:].rstrip(b"\0").endswith(_JPEG_END)
    return start.startswith(_PNG_START) and end[-64:].rstrip(b"\0").endswith(_PNG_END)
