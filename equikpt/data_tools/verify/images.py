"""Images on disk: missing, damaged, of another size, turned, or there more than once."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import attrgetter

import cv2
import numpy as np
from tqdm import tqdm

from equikpt.core.image import Depth, read_with_depth
from equikpt.core.image_checks import (
    ListedImage,
    check_images,
    damaged,
    missing_images,
    name_in_other_case,
)
from equikpt.core.image_decoding import ImageError, read_header
from equikpt.core.issues import Issue
from equikpt.core.radiograph import is_dicom, read_radiograph
from equikpt.data_tools.near_duplicates import Fingerprint, NearPair, fingerprint, near_pairs
from equikpt.data_tools.verify.label_set import LabelFile, LabelSet

MIN_SPAN = 32
"""Span of 255 between the darkest and the brightest px but one in 1,000. Photographs and
micrographs have 95 and more; one of 12 bits of which the upper 8 of 16 were kept has 16."""
SPAN_SHARES = (0.001, 0.999)


@dataclass(frozen=True)
class _Image:
    """A listed image."""

    file: LabelFile
    row: dict
    path: str

    def issue(self, code: str, message: str, score: float = 0) -> Issue:
        """Make an issue of this image."""
        return self.subject_of(Issue(code, message, score=score))

    def subject_of(self, issue: Issue) -> Issue:
        """The issue with this image as its subject."""
        return issue.of(file=self.file.name, image=self.row["file_name"], image_id=self.row["id"])


@dataclass(frozen=True)
class _Content:
    """The content of an image's file.

    Args:
        orientation: EXIF's number for how the image is turned; 1 is upright.
        depth: Bits of the file; None where a window is put on its values.
        span: Between its darkest and its brightest value as read, of 255.
        digest: Of the pixels, whatever the file's format.
        fingerprint: By which nearly the same images are found.
    """

    orientation: int
    depth: Depth | None
    span: int
    digest: str
    fingerprint: Fingerprint


def check_image_files(labels: LabelSet) -> Iterator[Issue]:
    """Find everything that needs the images; nothing for files without a folder of images."""
    decodable: list[_Image] = []
    for file in labels.files:
        if file.img_dir is None:
            continue
        listed = [
            _Image(file, row, str(file.image_path(row["file_name"])))
            for row in file.content["images"]
        ]
        issues, readable = _without_unreadable(listed)
        yield from issues
        decodable += readable
    contents, reasons = _read_all(
        decodable, (labels.scheme.metainfo or {}).get("radiographs", False)
    )
    for image in decodable:
        if image.path in reasons:
            yield image.subject_of(damaged(image.path, reasons[image.path]))
    read = [image for image in decodable if image.path in contents]
    yield from _turned(read, contents)
    yield from _narrow(read, contents)
    yield from _repeated(read, contents)


def _without_unreadable(images: list[_Image]) -> tuple[list[Issue], list[_Image]]:
    """Issues of images that are elsewhere, missing, damaged or resized; those that can be read."""
    issues, inside, present = [], [], []
    for image in images:
        # a report must not show what its reader did not give
        if image.file.holds(image.row["file_name"]):
            inside.append(image)
        else:
            message = f"{image.path} lies outside {image.file.img_dir}; it was not opened"
            issues.append(image.issue("outside_image", message))
    gone = {listed.path for listed in missing_images(_listed(inside))}
    for image in inside:
        if image.path not in gone:
            present.append(image)
            continue
        other_case = name_in_other_case(image.path)
        hint = f"; '{other_case}' is there" if other_case else ""
        issues.append(image.issue("missing_image", f"no file at {image.path}{hint}"))
    by_path = {image.path: image for image in present}
    found = check_images(_listed(present))
    issues += [by_path[issue.subject.image].subject_of(issue) for issue in found]
    broken = {issue.subject.image for issue in found if issue.code == "damaged_image"}
    return issues, [image for image in present if image.path not in broken]


def _listed(images: Sequence[_Image]) -> list[ListedImage]:
    return [ListedImage(each.path, each.row["width"], each.row["height"]) for each in images]


def _read_all(
    images: list[_Image], radiographs: bool
) -> tuple[dict[str, _Content], dict[str, str]]:
    """Contents by path, and reasons by path where there is none; each file is read once."""
    paths = list(dict.fromkeys(image.path for image in images))
    read = partial(_read, radiograph=radiographs)
    with ThreadPoolExecutor(max_workers=min(16, 2 * (os.cpu_count() or 1))) as pool:
        found = tqdm(
            pool.map(read, paths),
            total=len(paths),
            desc="comparing images",
            unit="img",
            delay=5,
            disable=None,
        )
        by_path = dict(zip(paths, found, strict=True))
    contents = {path: each for path, each in by_path.items() if isinstance(each, _Content)}
    return contents, {path: each for path, each in by_path.items() if isinstance(each, str)}


def _read(path: str, radiograph: bool) -> _Content | str:
    try:
        pixels, depth = (read_radiograph(path), None) if radiograph else read_with_depth(path)
        orientation = 1 if is_dicom(path) else read_header(path).orientation
    except ImageError as error:
        return error.reason
    gray = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    digest = hashlib.sha256(pixels.data)
    digest.update(str(pixels.shape).encode())
    return _Content(orientation, depth, _span(pixels), digest.hexdigest(), fingerprint(gray))


def _span(pixels: np.ndarray) -> int:
    channels = [cv2.calcHist([pixels], [channel], None, [256], [0, 256]) for channel in range(3)]
    counts = np.sum(channels, axis=0, dtype=float).cumsum()
    darkest, brightest = np.searchsorted(counts, np.array(SPAN_SHARES) * counts[-1])
    return int(brightest - darkest)


def _turned(images: list[_Image], contents: dict[str, _Content]) -> Iterator[Issue]:
    for image in images:
        orientation = contents[image.path].orientation
        if orientation != 1:
            yield image.issue(
                "exif_turned",
                f"its EXIF orientation is {orientation}: some programs turn it, others do not, and "
                "labels fit one of both",
            )


def _narrow(images: list[_Image], contents: dict[str, _Content]) -> Iterator[Issue]:
    """Images whose values fill a small part of their range."""
    depths = [each.depth for each in contents.values() if each.depth and each.depth.stored > 8]
    deep = Counter(depth.used for depth in depths)
    usual_bits = deep.most_common(1)[0][0] if deep else None
    for image in images:
        content = contents[image.path]
        reasons = list(_narrow_reasons(content, usual_bits))
        if reasons:
            yield image.issue("narrow_range", "; ".join(reasons), score=-content.span)


def _narrow_reasons(content: _Content, usual_bits: int | None) -> Iterator[str]:
    depth = content.depth
    if depth and depth.used < depth.stored:
        yield f"its brightest value takes {depth.used} of {depth.stored} bits, as which it is read"
        if usual_bits not in (None, depth.used):  # and it is brighter or darker than they
            yield f"most others of {depth.stored} bits are read as of {usual_bits}"
    if content.span < MIN_SPAN:
        yield f"998 in 1,000 of its values lie within {content.span} of 255"


def _repeated(images: list[_Image], contents: dict[str, _Content]) -> Iterator[Issue]:
    """Each image that was there before, with the first one that it is like."""
    first_with: dict[str, _Image] = {}
    for image in images:
        first = first_with.setdefault(contents[image.path].digest, image)
        if first.path != image.path or first.file is not image.file:
            codes = ("duplicate_image", "duplicate_across_files")
            yield _pair(codes, first, image, "has the pixels of", 1)
    distinct = list(first_with.values())
    for near in _nearest(distinct, [contents[image.path].fingerprint for image in distinct]):
        relation = "is nearly the mirror image of" if near.mirrored else "is nearly"
        codes = ("near_duplicate", "near_duplicate_across_files")
        yield _pair(codes, distinct[near.first], distinct[near.second], relation, near.likeness)


def _nearest(images: list[_Image], fingerprints: list[Fingerprint]) -> Iterator[NearPair]:
    """Pair each image that is nearly an earlier one with the one most like it.

    An image of another file comes before a more similar one of the same.
    """

    def rank(pair: NearPair) -> tuple[bool, float]:
        return images[pair.first].file is images[pair.second].file, -pair.likeness

    for _, pairs in groupby(near_pairs(fingerprints), key=attrgetter("second")):
        yield min(pairs, key=rank)


def _pair(
    codes: tuple[str, str], first: _Image, second: _Image, relation: str, score: float
) -> Issue:
    """The issue of a repeated image; the second code is for images of two files."""
    across = first.file is not second.file
    where = f" in {first.file.name}" if across else ""
    message = f"{relation} {first.row['file_name']}{where}"
    return second.issue(codes[across], message, score)
