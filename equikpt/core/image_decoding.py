"""Decode image files: the one place that reads through Pillow, OpenCV and pydicom.

Each of the three raises what it likes, from ``struct.error`` to ``MemoryError``. What leaves this
module is an :class:`ImageError` with one sentence. A header is read first, so that no memory is
taken for an image that is too large.
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
_FILE_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
if "OPENCV_LOG_LEVEL" not in os.environ:
    cv2.utils.logging.setLogLevel(0)  # what it prints of a damaged file becomes one sentence here


class ImageError(OSError):
    """A file that is no image, is damaged, larger than the limit, or of a kind not read.

    Its message is a sentence with the file's name; ``reason`` is the part that says what is wrong.
    """

    reason: str = ""

    def __init__(self, message: str = "") -> None:
        if message.startswith("Caught "):  # torch's, of a loader's worker
            message = message.rpartition(f"{type(self).__name__}: ")[2].strip()
        super().__init__(message)

    @classmethod
    def of(cls, name: str, reason: str, fix: str) -> ImageError:
        """Make the error about the file ``name``: what is wrong with it, and what to do."""
        error = cls(f"expected an image in {name}, {reason}; {fix}")
        error.reason = reason
        return error


class MissingImageError(ImageError, FileNotFoundError):
    """A name under which there is no file."""


class ImageHeader(NamedTuple):
    """Facts that stand before the pixels of an image file.

    Args:
        size_px: Width and height as stored, before an EXIF orientation.
        orientation: EXIF's number for how the image is turned; 1 is upright.
    """

    size_px: tuple[int, int]
    orientation: int = 1


def max_pixels() -> float:
    """Return how many px an image may have.

    Raises:
        ValueError: ``EQUIKPT_MAX_MEGAPIXELS`` is no number above 0.
    """
    text = os.environ.get(MAX_MEGAPIXELS_VARIABLE, "")
    try:
        megapixels = float(text) if text else MAX_MEGAPIXELS
    except ValueError:
        megapixels = 0.0
    if not megapixels > 0:
        raise ValueError(
            f"expected {MAX_MEGAPIXELS_VARIABLE} to be a number above 0, got {text!r}; the "
            f"default is {MAX_MEGAPIXELS:g}"
        )
    return megapixels * 1e6


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
        with reading(path):
            # The base method: that of PNG decodes the whole image to look for a late EXIF chunk.
            turn = Image.Image.getexif(image).get(_EXIF_ORIENTATION)
        return ImageHeader(image.size, turn if isinstance(turn, int) else 1)


def is_whole_at_end(path: str | os.PathLike) -> bool:
    """Return True for a JPEG or PNG that ends as it should; others tell only when decoded."""
    with _opened(path) as file, reading(path):
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
    name = os.fspath(path)
    with _opened(name) as file:
        image = _identified(file, name)
        with reading(name):
            file.seek(0)
            content = file.read()
        return _decode(content, name, image, gray)


def decode_bytes(content: bytes, name: str, gray: bool = False) -> np.ndarray:
    """Decode what an image file holds; ``name`` is for messages, the rest as :func:`decode`."""
    return _decode(content, name, _identified(io.BytesIO(content), name), gray)


def decode_strictly(path: str | os.PathLike) -> None:
    """Decode with Pillow, which sees damage within a PNG or JPEG that OpenCV passes over.

    Raises:
        ImageError: As :func:`decode`.
    """
    with _opened(path) as file:
        image = _identified(file, os.fspath(path))
        with reading(os.fspath(path)):
            image.load()


def read_dicom(path: str | os.PathLike) -> Any:
    """Read the header of a DICOM file of pixels, as pydicom's ``Dataset``.

    Raises:
        ImageError: No file, none that pydicom reads, one without pixels, or above the limit.
        ImportError: pydicom is not installed.
    """
    return _dicom(path, stop_before_pixels=True)


def decode_dicom(path: str | os.PathLike) -> tuple[Any, np.ndarray, np.ndarray]:
    """Decode the one gray image of a DICOM file.

    Returns:
        The ``Dataset``; (H, W) values as stored; (H, W) the same by its modality LUT.

    Raises:
        ImageError: As :func:`read_dicom`, and a file of several frames, of colours, or compressed
            in a way that pydicom has no decoder for.
        ImportError: pydicom is not installed.
    """
    dataset = _dicom(path)
    samples, frames = dataset.get("SamplesPerPixel", 1), dataset.get("NumberOfFrames") or 1
    if samples != 1 or frames != 1:
        held = "colours" if samples != 1 else f"{frames} frames"
        raise ImageError.of(os.fspath(path), f"it holds {held}", "export one gray image")
    with reading(path):
        from pydicom.pixels import apply_modality_lut

        stored = dataset.pixel_array
        return dataset, stored, apply_modality_lut(stored, dataset)


@contextmanager
def reading(path: str | os.PathLike) -> Iterator[None]:
    """Turn whatever is raised inside into an :class:`ImageError` about the file."""
    try:
        yield
    except (ImageError, ImportError):
        raise
    except Exception as error:  # decoders raise almost anything; each means the same here
        reason = f"it is damaged or cannot be decoded ({_reason(error)})"
        raise ImageError.of(os.fspath(path), reason, "copy or export it again") from error


@contextmanager
def _opened(path: str | os.PathLike) -> Iterator[IO[bytes]]:
    """Open a regular file that is not empty."""
    name = os.fspath(path)
    with reading(name):
        try:
            status = os.stat(name)
        except (FileNotFoundError, NotADirectoryError):
            raise MissingImageError.of(name, "found no such file", "correct the name") from None
        for is_kind, kind in _FILE_KINDS:
            if is_kind(status.st_mode):  # opening a pipe would wait for its writer
                raise ImageError.of(name, f"it is {kind}", "give a file")
        if not status.st_size:
            raise ImageError.of(name, "the file is empty", "copy it again")
        file = open(name, "rb")  # noqa: SIM115 - closed below; what the caller raises is its own
    with file:
        yield file


def _identified(file: IO[bytes], name: str) -> Image.Image:
    """Open an image with Pillow, as ``Image.open``, whose limit of size is another, and fixed."""
    with reading(name):
        Image.init()
        prefix = file.read(16)
        for kind in PILLOW_FORMATS:
            factory, accepts = Image.OPEN.get(kind, (None, None))
            if factory is not None and accepts is not None and accepts(prefix) is True:
                file.seek(0)
                image = factory(file, name)
                break
        else:
            kinds = ", ".join(PILLOW_FORMATS)
            raise ImageError.of(name, f"it is none of {kinds} or DICOM", "export it as PNG")
    _refuse_large(name, *image.size)
    return image


def _decode(content: bytes, name: str, image: Image.Image, gray: bool) -> np.ndarray:
    with reading(name):
        if content.startswith((_JPEG_START, _PNG_START)) and not _ends_well(content, content):
            image.load()  # refuses a cut image, where older OpenCV fills it with gray
        kind = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), kind | cv2.IMREAD_ANYDEPTH)
    if pixels is None and image.mode not in ("F", "I"):
        raise ImageError.of(
            name, "it is damaged or of a kind that OpenCV cannot decode", "export it as PNG"
        )
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        depth = "32 bits" if pixels is None else str(pixels.dtype)
        raise ImageError.of(name, f"its values are of {depth}", "export it with 8 or 16 bits")
    return pixels


def _dicom(path: str | os.PathLike, **options: Any) -> Any:
    try:
        import pydicom
    except ImportError as error:
        raise ImportError(
            f"expected pydicom for {path}, it is not installed; pip install -r "
            "requirements/dicom.txt"
        ) from error
    name = os.fspath(path)
    with _opened(name) as file, reading(name):
        dataset = pydicom.dcmread(file, **options)
        height, width = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
        frames = int(dataset.get("NumberOfFrames") or 1)
    if not (height and width):
        raise ImageError.of(name, "its DICOM header states no size", "export it again")
    _refuse_large(name, width, height, frames)
    return dataset


def _refuse_large(name: str, width: int, height: int, frames: int = 1) -> None:
    megapixels, most = width * height * frames / 1e6, max_pixels() / 1e6
    if megapixels > most:
        raise ImageError.of(
            name,
            f"the {width} x {height} px of its header are above the limit of {most:g} megapixels",
            f"raise it by --max-megapixels {math.ceil(megapixels)} or {MAX_MEGAPIXELS_VARIABLE}",
        )


def _ends_well(start: bytes, end: bytes) -> bool:
    if start.startswith(_JPEG_START):
        return end[-64:].rstrip(b"\0").endswith(_JPEG_END)
    return start.startswith(_PNG_START) and end[-64:].rstrip(b"\0").endswith(_PNG_END)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return "out of memory" if isinstance(error, MemoryError) else text
