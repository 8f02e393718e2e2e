"""Pictures on disk: missing, damaged, of another size, turned, or there more than once."""

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

from equikpt.core.coco.checks import Finding
from equikpt.core.image import Depth, read_picture, read_with_depth, reader_of
from equikpt.core.image_checks import (
    ListedImage,
    check_images,
    missing_images,
    name_in_other_case,
)
from equikpt.core.image_decoding import ImageError, read_header
from equikpt.core.radiograph import is_dicom, read_film
from equikpt.data_tools.near_duplicates import Fingerprint, NearPair, fingerprint, near_pairs
from equikpt.data_tools.verify.checks import Fault
from equikpt.data_tools.verify.label_set import LabelFile, LabelSet

MIN_SPAN = 32
"""Of 255, between the darkest and the brightest px but one in 1,000. Photographs and micrographs
have 95 and more; one of 12 bits of which the upper 8 of 16 were kept has 16."""
SPAN_SHARES = (0.001, 0.999)


@dataclass(frozen=True)
class _Picture:
    """One listed picture."""

    file: LabelFile
    row: dict
    path: str


@dataclass(frozen=True)
class _Look:
    """What a picture's file holds.

    Args:
        orientation: EXIF's number for how the picture is turned; 1 is upright.
        depth: Bits of the file; None where a window is put on its values.
        span: Between its darkest and its brightest value as read, of 255.
        digest: Of the pixels, whatever the file's format.
        fingerprint: By which nearly the same pictures are found.
    """

    orientation: int
    depth: Depth | None
    span: int
    digest: str
    fingerprint: Fingerprint


def check_pictures(labels: LabelSet) -> Iterator[Fault]:
    """Everything that needs the pictures; nothing for files without a folder of pictures."""
    sound: list[_Picture] = []
    for file in labels.files:
        if file.img_dir is None:
            continue
        listed = [
            _Picture(file, row, str(file.picture(row["file_name"])))
            for row in file.content["images"]
        ]
        faults, inside = _inside(listed)
        yield from faults
        faults, present = _present(inside)
        yield from faults
        faults, readable = _headers(present)
        yield from faults
        sound += readable
    looks, damaged = _looks(sound, labels.scheme.name)
    for picture in sound:
        if picture.path in damaged:
            fix = "replace it, or take it out of the JSON"
            yield _fault("damaged_picture", picture, f"the picture: {damaged[picture.path]}", fix)
    seen = [picture for picture in sound if picture.path in looks]
    yield from _turned(seen, looks)
    yield from _narrow(seen, looks)
    yield from _repeated(seen, looks)


def _fault(check: str, picture: _Picture, sentence: str, fix: str = "", score: float = 0) -> Fault:
    return Fault(
        check,
        sentence,
        fix,
        file=picture.file.name,
        image_id=picture.row["id"],
        image=picture.row["file_name"],
        score=score,
    )


def _listed(pictures: Sequence[_Picture]) -> list[ListedImage]:
    return [ListedImage(p.path, p.row["width"], p.row["height"]) for p in pictures]


def _inside(pictures: list[_Picture]) -> tuple[list[Fault], list[_Picture]]:
    """The pictures in the folder: a report must not show what its reader did not give."""
    outside = [p for p in pictures if not p.file.holds(p.row["file_name"])]
    faults = [
        _fault("outside_picture", p, f"{p.path} lies outside {p.file.img_dir}; it was not opened")
        for p in outside
    ]
    left_out = {id(picture) for picture in outside}
    return faults, [picture for picture in pictures if id(picture) not in left_out]


def _present(pictures: list[_Picture]) -> tuple[list[Fault], list[_Picture]]:
    gone = {image.path for image in missing_images(_listed(pictures))}
    faults = []
    for picture in (p for p in pictures if p.path in gone):
        other_case = name_in_other_case(picture.path)
        hint = f"; '{other_case}' is there" if other_case else ""
        faults.append(_fault("missing_picture", picture, f"no file at {picture.path}{hint}"))
    return faults, [picture for picture in pictures if picture.path not in gone]


def _headers(pictures: list[_Picture]) -> tuple[list[Fault], list[_Picture]]:
    """Damage and sizes by :func:`check_images`; the pictures that can be decoded."""
    by_path = {picture.path: picture for picture in pictures}
    faults, damaged = [], set()
    for finding in check_images(_listed(pictures)):
        check = "damaged_picture" if finding.what == "damaged pictures" else "picture_size"
        for path, sentence in _by_path(finding, by_path):
            faults.append(_fault(check, by_path[path], sentence, finding.fix))
            if check == "damaged_picture":
                damaged.add(path)
    return faults, [picture for picture in pictures if picture.path not in damaged]


def _by_path(finding: Finding, known: dict[str, _Picture]) -> Iterator[tuple[str, str]]:
    """Path and the rest of the sentence of each offender, which begins with the path."""
    for offender in finding.offenders:
        ends = (place for place, letter in enumerate(offender) if letter in ": ")
        path = next(offender[:end] for end in ends if offender[:end] in known)
        yield path, f"the picture{offender[len(path) :]}"


def _looks(pictures: list[_Picture], dataset_name: str) -> tuple[dict[str, _Look], dict[str, str]]:
    """By path what is seen, or why nothing is; a file that is listed twice is read once."""
    paths = list(dict.fromkeys(picture.path for picture in pictures))
    look = partial(_look, film=reader_of(dataset_name) is not read_picture)
    with ThreadPoolExecutor(max_workers=min(16, 2 * (os.cpu_count() or 1))) as pool:
        found = tqdm(
            pool.map(look, paths),
            total=len(paths),
            desc="comparing pictures",
            unit="img",
            delay=5,
            disable=None,
        )
        by_path = dict(zip(paths, found, strict=True))
    seen = {path: each for path, each in by_path.items() if isinstance(each, _Look)}
    return seen, {path: each for path, each in by_path.items() if isinstance(each, str)}


def _look(path: str, film: bool) -> _Look | str:
    try:
        pixels, depth = (read_film(path), None) if film else read_with_depth(path)
        orientation = 1 if is_dicom(path) else read_header(path).orientation
    except ImageError as error:
        return error.reason
    gray = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    digest = hashlib.sha256(pixels.data)
    digest.update(str(pixels.shape).encode())
    return _Look(orientation, depth, _span(pixels), digest.hexdigest(), fingerprint(gray))


def _span(pixels: np.ndarray) -> int:
    channels = [cv2.calcHist([pixels], [channel], None, [256], [0, 256]) for channel in range(3)]
    counts = np.sum(channels, axis=0, dtype=float).cumsum()
    darkest, brightest = np.searchsorted(counts, np.array(SPAN_SHARES) * counts[-1])
    return int(brightest - darkest)


def _turned(pictures: list[_Picture], looks: dict[str, _Look]) -> Iterator[Fault]:
    for picture in pictures:
        orientation = looks[picture.path].orientation
        if orientation != 1:
            yield _fault(
                "exif_turned",
                picture,
                f"its EXIF orientation is {orientation}: some programs turn it, others do "
                "not, and labels fit one of both",
            )


def _narrow(pictures: list[_Picture], looks: dict[str, _Look]) -> Iterator[Fault]:
    """Pictures whose values fill a small part of their range."""
    deep = Counter(
        look.depth.used for look in looks.values() if look.depth and look.depth.stored > 8
    )
    usual_bits = deep.most_common(1)[0][0] if deep else None
    for picture in pictures:
        look = looks[picture.path]
        told = list(_narrow_of(look, usual_bits))
        if told:
            yield _fault("narrow_range", picture, "; ".join(told), score=-look.span)


def _narrow_of(look: _Look, usual_bits: int | None) -> Iterator[str]:
    if look.depth and look.depth.used < look.depth.stored:
        yield (
            f"its brightest value takes {look.depth.used} of {look.depth.stored} bits, as which "
            "it is read"
        )
        if usual_bits not in (None, look.depth.used):  # and it is brighter or darker than they
            yield f"most others of {look.depth.stored} bits are read as of {usual_bits}"
    if look.span < MIN_SPAN:
        yield f"998 in 1,000 of its values lie within {look.span} of 255"


def _repeated(pictures: list[_Picture], looks: dict[str, _Look]) -> Iterator[Fault]:
    """Each picture that was there before, with the first one that it is like."""
    first_with: dict[str, _Picture] = {}
    for picture in pictures:
        first = first_with.setdefault(looks[picture.path].digest, picture)
        if first.path != picture.path or first.file is not picture.file:
            yield _pair("duplicate", first, picture, "has the pixels of", 1)
    distinct = list(first_with.values())
    for near in _nearest(distinct, [looks[picture.path].fingerprint for picture in distinct]):
        how = "is nearly the mirror image of" if near.mirrored else "is nearly"
        first, second = distinct[near.first], distinct[near.second]
        yield _pair("near_duplicate", first, second, how, near.likeness)


def _nearest(pictures: list[_Picture], fingerprints: list[Fingerprint]) -> Iterator[NearPair]:
    """Of each picture that is nearly an earlier one, the pair with the one most like it.

    A picture of another file comes before a more similar one of the same.
    """

    def rank(pair: NearPair) -> tuple[bool, float]:
        return pictures[pair.first].file is pictures[pair.second].file, -pair.likeness

    for _, pairs in groupby(near_pairs(fingerprints), key=attrgetter("second")):
        yield min(pairs, key=rank)


def _pair(kind: str, first: _Picture, second: _Picture, how: str, score: float) -> Fault:
    across = first.file is not second.file
    check = {
        ("duplicate", True): "duplicate_across_files",
        ("duplicate", False): "duplicate_picture",
        ("near_duplicate", True): "near_duplicate_across_files",
        ("near_duplicate", False): "near_duplicate",
    }[kind, across]
    where = f" in {first.file.name}" if across else ""
    return _fault(check, second, f"{how} {first.row['file_name']}{where}", score=score)
