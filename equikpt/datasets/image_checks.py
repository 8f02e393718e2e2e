"""Pictures that are missing, damaged, or not of the size that the annotations say."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from equikpt.datasets.coco_checks import Finding
from equikpt.datasets.film import dicom_size_px, is_dicom, read_film

MODES = ("none", "header", "full")

JPEG_END = b"\xff\xd9"
PNG_END = b"IEND\xaeB`\x82"
_EXIF_ORIENTATION = 0x0112


class ListedImage(NamedTuple):
    """A picture as the annotation file lists it; sizes in px."""

    path: str
    width: int
    height: int


class _Verdict(NamedTuple):
    damage: str = ""
    size_px: tuple[int, int] | None = None


def missing_images(images: Iterable[ListedImage]) -> list[ListedImage]:
    """The pictures that are not files on this disk."""
    return [image for image in images if not os.path.isfile(image.path)]


def name_in_other_case(path: str) -> str | None:
    """A file beside ``path`` whose name differs in upper and lower case only."""
    wanted = Path(path)
    if not wanted.parent.is_dir():
        return None
    for entry in os.scandir(wanted.parent):
        if entry.name.lower() == wanted.name.lower():
            return entry.name
    return None


def check_images(images: Sequence[ListedImage], mode: str = "header") -> list[Finding]:
    """Open every picture, in threads, and report those that training would trip over.

    Args:
        images: Pictures that exist on disk.
        mode: ``"header"`` reads size and end of each file, which finds most broken downloads;
            ``"full"`` decodes every pixel; ``"none"`` opens nothing.

    Returns:
        At most two findings: damaged pictures, and pictures of another size than listed.

    Raises:
        ValueError: If ``mode`` is unknown.
    """
    if mode not in MODES:
        raise ValueError(f"check_images is {mode!r}; expected one of {', '.join(MODES)}")
    if mode == "none":
        return []
    examine: Callable[[str], _Verdict] = _examine_header if mode == "header" else _examine_full
    # Decoders release the interpreter lock, and on network disks most of the time is waiting.
    with ThreadPoolExecutor(max_workers=min(16, 4 * (os.cpu_count() or 1))) as pool:
        verdicts = list(
            tqdm(
                pool.map(examine, (image.path for image in images)),
                total=len(images),
                desc="checking pictures",
                unit="img",
                delay=5,
                disable=None,
            )
        )
    judged = list(zip(images, verdicts, strict=True))
    damaged = tuple(
        f"{image.path}: {verdict.damage}" for image, verdict in judged if verdict.damage
    )
    resized = [
        (image, verdict.size_px)
        for image, verdict in judged
        if verdict.size_px and verdict.size_px != (image.width, image.height)
    ]
    findings = []
    if damaged:
        findings.append(
            Finding("damaged pictures", damaged, "replace them, or take them out of the JSON")
        )
    if resized:
        findings.append(_size_finding(resized))
    return findings


def loaded_size_px(path: str) -> tuple[int, int]:
    """Width and height with which training sees the picture, after its EXIF orientation.

    Raises:
        OSError: If the file is no picture.
    """
    if is_dicom(path):
        return dicom_size_px(path)
    with Image.open(path) as image:
        # The base method: that of PNG decodes the whole picture to look for a late EXIF chunk.
        turned = Image.Image.getexif(image).get(_EXIF_ORIENTATION, 1) >= 5
        size_px = image.size
    # Which formats are turned depends on OpenCV's version; such pictures are few, so ask it.
    return _decoded_size_px(path) if turned else size_px


def _size_finding(resized: Sequence[tuple[ListedImage, tuple[int, int]]]) -> Finding:
    swapped = all(size_px == (image.height, image.width) for image, size_px in resized)
    return Finding(
        "pictures of another size than the JSON says",
        tuple(
            f"{image.path} is {size_px[0]} x {size_px[1]}, listed as "
            f"{image.width:g} x {image.height:g}"
            for image, size_px in resized
        ),
        "width and height seem exchanged, by the exporter or by an EXIF orientation; correct them "
        "and check that the keypoints fit"
        if swapped
        else "the keypoints may belong to another version of the picture; bring both together",
    )


def _examine_header(path: str) -> _Verdict:
    try:
        if os.path.getsize(path) == 0:
            return _Verdict("the file is empty")
        size_px = loaded_size_px(path)
        if not is_dicom(path) and not _ends_well(path):
            # Bytes after the end are harmless and not rare: only decoding tells them from a cut.
            _decode_strictly(path)
    except Exception as error:  # decoders raise almost anything; each means the same here
        return _Verdict(_reason(error))
    return _Verdict(size_px=size_px)


def _examine_full(path: str) -> _Verdict:
    try:
        if os.path.getsize(path) == 0:
            return _Verdict("the file is empty")
        if is_dicom(path):
            height, width = read_film(path).shape[:2]
            return _Verdict(size_px=(width, height))
        _decode_strictly(path)
        return _Verdict(size_px=_decoded_size_px(path))
    except Exception as error:  # as above
        return _Verdict(_reason(error))


def _ends_well(path: str) -> bool:
    with open(path, "rb") as file:
        start = file.read(8)
        file.seek(max(-64, -os.path.getsize(path)), os.SEEK_END)
        end = file.read().rstrip(b"\0")
    if start.startswith(b"\xff\xd8"):
        return end.endswith(JPEG_END)
    if start.startswith(b"\x89PNG"):
        return end.endswith(PNG_END)
    return False


def _decode_strictly(path: str) -> None:
    """Pillow refuses a cut picture, where OpenCV fills the rest with gray."""
    with Image.open(path) as image:
        image.load()


def _decoded_size_px(path: str) -> tuple[int, int]:
    """Size after decoding with OpenCV and the flags of MMPose's ``LoadImage``."""
    pixels = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise OSError("OpenCV, which training loads pictures with, cannot decode it")
    height, width = pixels.shape[:2]
    return width, height


def _reason(error: Exception) -> str:
    text = str(error)
    return "not a picture" if "cannot identify image file" in text else text or type(error).__name__
