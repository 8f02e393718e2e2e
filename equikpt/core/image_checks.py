"""Pictures that are missing, damaged, or not of the size that the annotations say."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from equikpt.core.coco.checks import Finding
from equikpt.core.image_decoding import (
    ImageError,
    decode,
    decode_strictly,
    is_whole_at_end,
    read_header,
)
from equikpt.core.radiograph import dicom_size_px, is_dicom, read_gray

MODES = ("none", "header", "full")


class ListedImage(NamedTuple):
    """A picture as the annotation file lists it; sizes in px."""

    path: str
    width: int
    height: int


class _Verdict(NamedTuple):
    damage: str = ""
    size_px: tuple[int, int] | None = None


def missing_images(images: Iterable[ListedImage]) -> list[ListedImage]:
    """The pictures that are not on this disk; a folder or a pipe of such a name is no picture."""
    return [image for image in images if not os.path.exists(image.path)]


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
    """Open every picture, in threads, as training does, and report those it would trip over.

    Args:
        images: Pictures that exist on disk.
        mode: ``"header"`` reads size and end of each JPEG and PNG, which finds most broken
            downloads, and decodes all others; ``"full"`` decodes every pixel, and strictly;
            ``"none"`` opens nothing.

    Returns:
        At most two findings: damaged pictures, and pictures of another size than listed.

    Raises:
        ValueError: If ``mode`` is unknown.
        ImportError: There is a DICOM file and no pydicom.
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
        ImageError: If the file is no picture.
    """
    if is_dicom(path):
        return dicom_size_px(path)
    header = read_header(path)
    # Which formats are turned depends on OpenCV's version; such pictures are few, so ask it.
    return _decoded_size_px(path) if header.orientation >= 5 else header.size_px


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
        if is_dicom(path) or not is_whole_at_end(path):
            # Only decoding tells a cut file, or one of a kind that is not read, from a good one.
            return _Verdict(size_px=_decoded_size_px(path))
        return _Verdict(size_px=loaded_size_px(path))
    except ImageError as error:
        return _Verdict(error.reason)


def _examine_full(path: str) -> _Verdict:
    try:
        if not is_dicom(path):
            decode_strictly(path)
        return _Verdict(size_px=_decoded_size_px(path))
    except ImageError as error:
        return _Verdict(error.reason)


def _decoded_size_px(path: str) -> tuple[int, int]:
    height, width = (read_gray(path) if is_dicom(path) else decode(path)).shape[:2]
    return width, height
