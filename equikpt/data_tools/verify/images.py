"""Images on disk: missing, damaged, of another size, turned, or there more than once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import cv2
import numpy as np

from equikpt.core.image import Depth, read_with_depth
from equikpt.core.image_checks import (
    ListedImage,
    check_images,
    damaged,
    missing_images,
    name_in_other_case,
)
from equikpt.core.image_decoding import read_header
from equikpt.core.issues import Issue
from equikpt.core.radiograph import is_dicom, read_radiograph
from equikpt.data_tools.near_duplicates import (
    Fingerprint,
    NearPair,
    fingerprint,
    near_pairs,
    read_once,
)
from equikpt.data_tools.verify.label_set import LabelFile, LabelSet
from equikpt_runtime.images import ImageError

MIN_SPAN = 32
"""Span of 255 between the darkest and the brightest px but one in 1,000. Photographs and
micrographs have 95 and more; one of 12 bits of which the upper 8 of 16 were kept has 16."""
SPAN_QUANTILES = (0.001, 0.999)


class _Image(NamedTuple):
    """A listed image."""

    file: LabelFile
    row: dict
    path: str

    def issue(self, code: str, message: str, score: float = 0) -> Issue:
        return self.subject_of(Issue(code, message, score=score))

    def subject_of(self, issue: Issue) -> Issue:
        """The issue with this image as its subject."""
        return issue.of(file=self.file.name, image=self.row["file_name"], image_id=self.row["id"])


class _Content(NamedTuple):
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
    for file in (file for file in labels.files if file.img_dir is not None):
        names = [(row, str(file.image_path(row["file_name"]))) for row in file.content["images"]]
        issues, readable = _without_unreadable([_Image(file, *each) for each in names])
        yield from issues
        decodable += readable
    radiograph = bool((labels.scheme.metainfo or {}).get("radiographs"))
    contents = read_once((each.path for each in decodable), partial(_read, radiograph=radiograph))
    read = []
    for image in decodable:
        content = contents[image.path]
        if isinstance(content, str):
            yield image.subject_of(damaged(image.path, content))
        else:
            read.append((image, content))
    for image, content in read:
        if content.orientation != 1:
            yield image.issue(
                "exif_turned",
                f"its EXIF orientation is {content.orientation}: some programs turn it, others do "
                "not, and labels fit one of both",
            )
    depths = {image.path: content.depth for image, content in read}.values()
    deep = Counter(depth.used for depth in depths if depth and depth.stored > 8)
    usual_bits = deep.most_common(1)[0][0] if deep else None
    for image, content in read:
        reasons = list(_narrow_reasons(content, usual_bits))
        if reasons:
            yield image.issue("narrow_range", "; ".join(reasons), score=-content.span)
    yield from _repeated(read)


def _without_unreadable(images: list[_Image]) -> tuple[list[Issue], list[_Image]]:
    """Issues of images that are elsewhere, missing, damaged or resized; those that can be read."""
    issues, inside = [], []
    for image in images:
        # a report must not show what its reader did not give
        if image.file.holds(image.row["file_name"]):
            inside.append(image)
        else:
            message = f"{image.path} lies outside {image.file.img_dir}; it was not opened"
            issues.append(image.issue("outside_image", message))
    gone = {listed.path for listed in missing_images(_listed(inside))}
    for image in (image for image in inside if image.path in gone):
        other_case = name_in_other_case(image.path)
        hint = f"; '{other_case}' is there" if other_case else ""
        issues.append(image.issue("missing_image", f"no file at {image.path}{hint}"))
    present = [image for image in inside if image.path not in gone]
    by_path = {image.path: image for image in present}
    found = check_images(_listed(present))
    issues += [by_path[issue.subject.image].subject_of(issue) for issue in found]
    broken = {issue.subject.image for issue in found if issue.code == "damaged_image"}
    return issues, [image for image in present if image.path not in broken]


def _listed(images: Sequence[_Image]) -> list[ListedImage]:
    return [ListedImage(each.path, each.row["width"], each.row["height"]) for each in images]


def _read(path: str, radiograph: bool) -> _Content | str:
    """The content, or the reason why there is none."""
    try:
        pixels, depth = (read_radiograph(path), None) if radiograph else read_with_depth(path)
        orientation = 1 if is_dicom(path) else read_header(path).orientation
    except ImageError as error:
        return error.reason
    channels = pixels.reshape(len(pixels), -1)  # side by side, as one
    counts = cv2.calcHist([channels], [0], None, [256], [0, 256]).cumsum(dtype=float)
    darkest, brightest = np.searchsorted(counts, np.array(SPAN_QUANTILES) * counts[-1])
    digest = hashlib.sha256(pixels.data)
    digest.update(str(pixels.shape).encode())
    gray = fingerprint(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY))
    return _Content(orientation, depth, int(brightest - darkest), digest.hexdigest(), gray)


def _narrow_reasons(content: _Content, usual_bits: int | None) -> Iterator[str]:
    """Reasons why values fill a small part of their range."""
    depth = content.depth
    if depth and depth.used < depth.stored:
        yield f"its brightest value takes {depth.used} of {depth.stored} bits, as which it is read"
        if usual_bits not in (None, depth.used):  # and it is brighter or darker than they
            yield f"most others of {depth.stored} bits are read as of {usual_bits}"
    if content.span < MIN_SPAN:
        yield f"998 in 1,000 of its values lie within {content.span} of 255"


def _repeated(read: Sequence[tuple[_Image, _Content]]) -> Iterator[Issue]:
    """Each image that was there before, with the first one that it is like."""
    first_with: dict[str, tuple[_Image, _Content]] = {}
    for image, content in read:
        first = first_with.setdefault(content.digest, (image, content))[0]
        if first.path != image.path or first.file is not image.file:
            codes = ("duplicate_image", "duplicate_across_files")
            yield _pair(codes, first, image, "has the pixels of", 1)
    distinct = list(first_with.values())
    found = near_pairs([content.fingerprint for _, content in distinct])

    def rank(pair: NearPair) -> tuple[bool, float]:
        first, second = (distinct[index][0] for index in pair[:2])
        return first.file is second.file, -pair.likeness

    for _, pairs in groupby(found, key=attrgetter("second")):
        # an image of another file comes before a more similar one of the same
        near = min(pairs, key=rank)
        relation = "is nearly the mirror image of" if near.mirrored else "is nearly"
        codes = ("near_duplicate", "near_duplicate_across_files")
        first, second = (distinct[index][0] for index in near[:2])
        yield _pair(codes, first, second, relation, near.likeness)


def _pair(
    codes: tuple[str, str], first: _Image, second: _Image, relation: str, score: float
) -> Issue:
    """The issue of a repeated image; the second code is for images of two files."""
    across = first.file is not second.file
    where = f" in {first.file.name}" if across else ""
    message = f"{relation} {first.row['file_name']}{where}"
    return second.issue(codes[across], message, score)
