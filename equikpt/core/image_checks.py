"""Images that are missing, damaged, or not of the size that the annotations say."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

from tqdm.contrib.concurrent import thread_map

from equikpt.core.image_decoding import decode, decode_strictly, is_whole_at_end, read_header
from equikpt.core.issues import Issue, Subject
from equikpt.core.radiograph import dicom_size_px, is_dicom, read_gray
from equikpt_runtime.images import ImageError

MODES = ("none", "header", "full")


class ListedImage(NamedTuple):
    """An image as the annotation file lists it; sizes in px."""

    path: str
    width: int
    height: int


def missing_images(images: Iterable[ListedImage]) -> list[ListedImage]:
    """Find the images that are not on this disk; a folder or a pipe of a name is not missing."""
    return [image for image in images if not os.path.exists(image.path)]


def name_in_other_case(path: str) -> str | None:
    """Find a file beside ``path`` whose name differs in upper and lower case only."""
    folder, name = os.path.split(path)
    names = os.listdir(folder or ".") if os.path.isdir(folder or ".") else []
    return next((other for other in names if other.lower() == name.lower()), None)


def check_images(images: Sequence[ListedImage], mode: str = "header") -> list[Issue]:
    """Open every image, in threads, as training does, and find those it would trip over.

    Args:
        images: Images that exist on disk.
        mode: ``"header"`` reads size and end of each JPEG and PNG, which finds most broken
            downloads, and decodes all others; ``"full"`` decodes every pixel, and strictly;
            ``"none"`` opens nothing.

    Returns:
        An issue for each damaged image and each of another size than listed; its subject's
        ``image`` is the path.

    Raises:
        ValueError: If ``mode`` is unknown.
        ImportError: There is a DICOM file and no pydicom.
    """
    if mode not in MODES:
        raise ValueError(f"check_images is {mode!r}; expected one of {', '.join(MODES)}")
    if mode == "none":
        return []
    # Decoders release the interpreter lock, and on network disks most of the time is waiting.
    sizes = thread_map(
        partial(_size_or_reason, full=mode == "full"),
        [image.path for image in images],
        max_workers=min(16, 4 * (os.cpu_count() or 1)),
        desc="checking images",
        unit="img",
        delay=5,
        disable=None,
    )
    found = list(zip(images, sizes, strict=True))
    resized = [
        (image, size)
        for image, size in found
        if not isinstance(size, str) and size != (image.width, image.height)
    ]
    return [
        *(damaged(image.path, size) for image, size in found if isinstance(size, str)),
        *_size_issues(resized),
    ]


def damaged(path: str, reason: str) -> Issue:
    """The issue of an image that cannot be decoded."""
    subject, example = Subject(image=path), f"{path}: {reason}"
    return Issue("damaged_image", "damaged images", subject=subject, examples=(example,))


def loaded_size_px(path: str) -> tuple[int, int]:
    """Read width and height with which training sees the image, after its EXIF orientation.

    Raises:
        ImageError: If the file is no image.
    """
    if is_dicom(path):
        return dicom_size_px(path)
    header = read_header(path)
    # Which formats are turned depends on OpenCV's version; such images are few, so ask it.
    return _decoded_size_px(path) if header.orientation >= 5 else header.size_px


def _size_issues(resized: Sequence[tuple[ListedImage, tuple[int, int]]]) -> list[Issue]:
    message, fix = "images of another size than the JSON says", ""
    if all(size_px == (image.height, image.width) for image, size_px in resized):
        fix = (
            "width and height seem exchanged, by the exporter or by an EXIF orientation; correct "
            "them and check that the keypoints fit"
        )
    issues = []
    for (path, *listed), size_px in resized:
        sizes = "{} x {}, listed as {:g} x {:g}".format(*size_px, *listed)
        subject = Subject(image=path)
        issues.append(Issue("image_size", message, fix, "", subject, (f"{path} is {sizes}",)))
    return issues


def _size_or_reason(path: str, full: bool) -> tuple[int, int] | str:
    """Width and height as training sees them, or what is wrong with the file."""
    try:
        if full:
            if not is_dicom(path):
                decode_strictly(path)
        elif not is_dicom(path) and is_whole_at_end(path):
            return loaded_size_px(path)
        # Only decoding tells a cut file, or one of a kind that is not read, from a good one.
        return _decoded_size_px(path)
    except ImageError as error:
        return error.reason


def _decoded_size_px(path: str) -> tuple[int, int]:
    height, width = (read_gray(path) if is_dicom(path) else decode(path)).shape[:2]
    return width, height
