"""Radiographs as 8-bit gray pictures: PNG, JPEG and TIFF of 8 or 16 bits, and DICOM."""

from __future__ import annotations

import os
from typing import Any

import cv2
import numpy as np

DICOM_SUFFIXES = (".dcm", ".dicom")
WINDOW_PERCENTILES = (0.1, 99.9)
"""Of deeper pictures, the gray values that become black and white."""
SQUARE_TOLERANCE = 1e-3
"""Relative difference between the sides of a px from which they count as unequal."""


def is_dicom(path: str | os.PathLike) -> bool:
    """Whether the name is that of a DICOM file."""
    return os.fspath(path).lower().endswith(DICOM_SUFFIXES)


def read_film(path: str | os.PathLike) -> np.ndarray:
    """A film as (H, W, 3) uint8, three equal channels, bone bright.

    8-bit pictures keep their values. Deeper ones use a part of their range that differs from
    scanner to scanner (a 12-bit film in 16 bits would be nearly black), so the percentiles
    ``WINDOW_PERCENTILES`` of the film become 0 and 255.

    Raises:
        OSError: No file, or one that cannot be decoded.
        ImportError: A DICOM file without pydicom.
        ValueError: A DICOM file of several frames, of colours, or without pixels.
    """
    gray = read_gray(path)
    if gray.dtype != np.uint8:
        gray = window(gray)
    return cv2.merge([gray] * 3)


def read_gray(path: str | os.PathLike) -> np.ndarray:
    """A film's own gray values, (H, W) uint8, uint16 or float32; errors as :func:`read_film`."""
    return _dicom_gray(path) if is_dicom(path) else _picture_gray(path)


def window(gray: np.ndarray) -> np.ndarray:
    """Gray values of any range as uint8, by ``WINDOW_PERCENTILES``; a flat picture is black."""
    low, high = np.percentile(gray, WINDOW_PERCENTILES)
    if not high > low:
        return np.zeros(gray.shape, np.uint8)
    scaled = (gray.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def dicom_size_px(path: str | os.PathLike) -> tuple[int, int]:
    """Width and height of a DICOM film, from its header.

    Raises:
        OSError: No file, or none that pydicom reads.
        ImportError: pydicom is not installed.
    """
    header = _read_dicom(path, stop_before_pixels=True)
    return int(header.Columns), int(header.Rows)


def dicom_spacing_mm(path: str | os.PathLike) -> float | None:
    """Side of a px in mm from a DICOM header; None where it states none.

    ``PixelSpacing`` is that of the patient's plane where the device was calibrated;
    ``ImagerPixelSpacing``, which is taken where it is absent, is that of the detector, on which a
    skull appears enlarged by some ten percent.

    Raises:
        OSError: No file, or none that pydicom reads.
        ImportError: pydicom is not installed.
        ValueError: A px whose sides differ.
    """
    header = _read_dicom(path, stop_before_pixels=True)
    stated = header.get("PixelSpacing") or header.get("ImagerPixelSpacing")
    if not stated:
        return None
    down, across = (float(value) for value in stated)
    if abs(down - across) > SQUARE_TOLERANCE * across:
        raise ValueError(
            f"expected square px in {path}, its header says {across:g} × {down:g} mm; resample it"
        )
    return across if across > 0 else None


def _picture_gray(path: str | os.PathLike) -> np.ndarray:
    content = np.fromfile(path, np.uint8)  # imread would not tell a missing file from a broken one
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_GRAYSCALE
    gray = cv2.imdecode(content, flags) if content.size else None
    if gray is None:
        raise OSError(f"expected a picture in {path}, OpenCV cannot decode it; export it again")
    return gray


def _dicom_gray(path: str | os.PathLike) -> np.ndarray:
    film = _read_dicom(path)
    from pydicom.pixels import apply_modality_lut

    if "PixelData" not in film or film.get("SamplesPerPixel", 1) != 1:
        raise ValueError(
            f"expected a gray picture in {path}, it holds "
            f"{'colours' if 'PixelData' in film else 'none'}; export the cephalogram itself"
        )
    gray = apply_modality_lut(film.pixel_array, film)
    if gray.ndim != 2:
        raise ValueError(f"expected one picture in {path}, got {len(gray)} frames; export one")
    if film.PhotometricInterpretation == "MONOCHROME1":  # its lowest value is white
        gray = gray.max() - gray
    return gray if gray.dtype == np.uint8 else gray.astype(np.float32)


def _read_dicom(path: str | os.PathLike, **options: Any) -> Any:
    try:
        import pydicom
    except ImportError as error:
        raise ImportError(
            f"expected pydicom for {path}, it is not installed; pip install -r "
            "requirements/dicom.txt"
        ) from error
    try:
        return pydicom.dcmread(path, **options)
    except pydicom.errors.InvalidDicomError as error:
        raise OSError(f"expected DICOM in {path}, pydicom says: {error}") from error
