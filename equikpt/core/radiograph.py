"""Radiographs as 8-bit gray images: PNG, JPEG and TIFF of 8 or 16 bits, and DICOM."""

from __future__ import annotations

import os
from typing import Any

import cv2
import numpy as np

from equikpt.core.image_decoding import decode, is_dicom, read_dicom, reading
from equikpt_runtime.images import ImageError, window

SQUARE_TOLERANCE = 1e-3
"""Relative difference between the sides of a px from which they count as unequal."""


def read_radiograph(path: str | os.PathLike) -> np.ndarray:
    """Read a radiograph as (H, W, 3) uint8, three equal channels, bone bright.

    8-bit images keep their values. Deeper ones use a part of their range that differs from
    scanner to scanner (one of 12 bits in 16 would be nearly black), so they are scaled
    (:func:`~equikpt_runtime.images.window`). The padding of a DICOM file, which is no part of the
    radiograph, is black and stays out of that.

    Raises:
        ImageError: No file, or one that cannot be decoded; a DICOM file of several frames, of
            colours, or without pixels.
        ImportError: A DICOM file without pydicom.
    """
    gray, exposed = _gray_and_exposed(path)
    if gray.dtype != np.uint8:
        gray = window(gray, exposed)
    elif exposed is not None:
        gray = np.where(exposed, gray, np.uint8(0))
    return cv2.merge([gray] * 3)


def read_gray(path: str | os.PathLike) -> np.ndarray:
    """Read the gray values as stored, (H, W) uint8, uint16 or float32."""
    return _gray_and_exposed(path)[0]


def dicom_size_px(path: str | os.PathLike) -> tuple[int, int]:
    """Read width and height of a DICOM radiograph from its header."""
    header = read_dicom(path)
    return int(header.Columns), int(header.Rows)


def dicom_spacing_mm(path: str | os.PathLike) -> float | None:
    """Read the side of a px in mm from a DICOM header; None where it states none.

    ``PixelSpacing`` is that of the patient's plane where the device was calibrated;
    ``ImagerPixelSpacing``, which is taken where it is absent, is that of the detector, on which a
    skull appears enlarged by some ten percent.

    Raises:
        ValueError: A px whose sides differ.
    """
    header = read_dicom(path)
    stated = header.get("PixelSpacing") or header.get("ImagerPixelSpacing")
    if not stated:
        return None
    with reading(path):
        down, across = (float(value) for value in stated)
    if abs(down - across) > SQUARE_TOLERANCE * across:
        raise ValueError(
            f"expected square px in {path}, its header says {across:g} × {down:g} mm; resample it"
        )
    return across if across > 0 else None


def _gray_and_exposed(path: str | os.PathLike) -> tuple[np.ndarray, np.ndarray | None]:
    """The gray values as stored and, where some are padding, those that are not."""
    if not is_dicom(path):
        return decode(path, gray=True), None
    header = read_dicom(path, pixels=True)
    samples, frames = header.get("SamplesPerPixel", 1), header.get("NumberOfFrames") or 1
    if samples != 1 or frames != 1:
        held = "colours" if samples != 1 else f"{frames} frames"
        raise ImageError.of(path, f"it holds {held}", "export one gray image")
    with reading(path):
        from pydicom.pixels import apply_modality_lut

        stored = header.pixel_array
        gray, exposed = apply_modality_lut(stored, header), _exposed(header, stored)
    inner = gray if exposed is None else gray[exposed]
    if header.get("PhotometricInterpretation") == "MONOCHROME1":  # its lowest value is white
        gray, inner = inner.max() - gray, inner.max() - inner
    if exposed is not None:
        gray = np.where(exposed, gray, inner.min())
    return (gray if gray.dtype == np.uint8 else gray.astype(np.float32)), exposed


def _exposed(header: Any, stored: np.ndarray) -> np.ndarray | None:
    """(H, W) bool, the px that are no padding; None where all are, or none.

    ``PixelPaddingRangeLimit``, where there is one, is the other end of a range of such values.
    """
    padding = header.get("PixelPaddingValue")
    if padding is None:
        return None
    limit = header.get("PixelPaddingRangeLimit")
    # Signed values are often stated as if they were unsigned.
    ends = np.array([padding, padding if limit is None else limit], np.int64).astype(stored.dtype)
    exposed = (stored < ends.min()) | (stored > ends.max())
    return exposed if exposed.any() and not exposed.all() else None
