"""Images as training sees them, or a sentence about what is wrong with the file."""

from __future__ import annotations

import os

import cv2
import numpy as np

SAMPLE_BITS = (8, 10, 12, 14, 16)
"""Depths of cameras and scanners. An image in 16 bits has the least of them that its brightest
value needs: one of 12 bits, of which only the upper 8 of 16 were kept, would be nearly black."""
WINDOW_PERCENTILES = (0.1, 99.9)
"""Percentiles of the gray values of deeper radiographs that become black and white."""
_ENDS = ((b"\xff\xd8", b"\xff\xd9"), (b"\x89PNG", b"IEND\xaeB`\x82"))
"""First and last bytes of JPEG and PNG."""


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
    def of(cls, name: str | os.PathLike, reason: str, fix: str) -> ImageError:
        """Make the error about the file ``name``: what is wrong with it, and what to do."""
        error = cls(f"expected an image in {os.fspath(name)}, {reason}; {fix}")
        error.reason = reason
        return error


class MissingImageError(ImageError, FileNotFoundError):
    """A name under which there is no file."""


def read(path: str | os.PathLike, radiograph: bool = False) -> np.ndarray:
    """Read an image file as (H, W, 3) uint8, BGR, upright; of radiographs the channels are equal.

    The pixels are those that :mod:`equikpt.core.image` gives of files that are no DICOM.

    Raises:
        MissingImageError: No such file.
        ImageError: A file that is no image, is cut, or of other than 8 or 16 bits.
    """
    name = os.fspath(path)
    if not os.path.isfile(name):
        reason = "it is no file" if os.path.exists(name) else "found no such file"
        raise MissingImageError.of(name, reason, "correct the name")
    with open(name, "rb") as file:
        content = file.read()
    for start, end in _ENDS:
        # an end that is not the last thing may be a video behind a phone's image
        if content.startswith(start) and end not in content[len(content) // 2 :]:
            raise ImageError.of(name, "it is cut: its end is missing", "copy it again")
    kind = cv2.IMREAD_GRAYSCALE if radiograph else cv2.IMREAD_COLOR
    data = np.frombuffer(content, np.uint8)
    try:
        pixels = cv2.imdecode(data, kind | cv2.IMREAD_ANYDEPTH) if content else None
    except cv2.error as error:  # of the size that the header states
        reason = f"it is larger than OpenCV reads ({error.err})"
        raise ImageError.of(name, reason, "scale it down") from error
    if pixels is None:
        fix = "export it as PNG; of a DICOM file give the pixels"
        raise ImageError.of(name, "it is damaged or of a kind that OpenCV cannot decode", fix)
    if pixels.dtype not in (np.uint8, np.uint16):
        depth = f"its values are of {pixels.dtype}"
        raise ImageError.of(name, depth, "export it with 8 or 16 bits")
    if radiograph and pixels.dtype == np.uint16:
        pixels = window(pixels)
    return as_image(pixels)


def as_image(pixels: np.ndarray) -> np.ndarray:
    """Convert an array that holds an image to (H, W, 3) uint8, BGR.

    Args:
        pixels: (H, W), (H, W, 1), (H, W, 3) BGR or (H, W, 4) BGR and alpha, uint8 or uint16.

    Raises:
        ValueError: Another shape or type.
    """
    pixels = np.asarray(pixels)
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or channels not in (1, 3, 4) or not pixels.size:
        raise ValueError(
            "expected an image of shape (H, W), (H, W, 3) or (H, W, 4), got "
            f"{pixels.shape}; pass several images as a list"
        )
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"expected an image of uint8 or uint16, got {pixels.dtype}; scale it to 0 to 255"
        )
    if pixels.dtype == np.uint16:
        pixels = (pixels >> (used_bits(pixels) - 8)).astype(np.uint8)
    if channels == 1:
        return cv2.merge([pixels.reshape(pixels.shape[:2])] * 3)
    return np.ascontiguousarray(pixels[..., :3])


def used_bits(pixels: np.ndarray) -> int:
    """Return the least of ``SAMPLE_BITS`` that the brightest value of uint16 needs."""
    needed = int(pixels.max()).bit_length()
    return next(bits for bits in SAMPLE_BITS if bits >= needed)


def window(gray: np.ndarray, exposed: np.ndarray | None = None) -> np.ndarray:
    """Scale gray values of any range to uint8 by ``WINDOW_PERCENTILES``; a flat image is black.

    Args:
        gray: (H, W).
        exposed: (H, W) bool, the px that belong to the radiograph; all of them by default.
    """
    values = gray if exposed is None else gray[exposed]
    low, high = np.percentile(values, WINDOW_PERCENTILES) if values.size else (0, 0)
    if not high > low:
        return np.zeros(gray.shape, np.uint8)
    scaled = (gray.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    scaled = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return scaled if exposed is None else np.where(exposed, scaled, np.uint8(0))
