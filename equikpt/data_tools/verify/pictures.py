"""Pictures on disk: missing, damaged, of another size, turned, or there more than once."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import imagehash
import numpy as np
from PIL import Image
from tqdm import tqdm

from equikpt.data_tools.verify.checks import Fault
from equikpt.data_tools.verify.label_set import LabelFile, LabelSet
from equikpt.datasets.coco_checks import Finding
from equikpt.datasets.film import is_dicom, read_film
from equikpt.datasets.image_checks import (
    ListedImage,
    check_images,
    missing_images,
    name_in_other_case,
)

EXIF_ORIENTATION = 0x0112
MOST_BITS = 6
"""Of the 64 bits of two perceptual hashes, how many may differ in nearly the same picture."""
THUMBNAIL_PX = 16
MOST_DIFFERENCE = 0.08
"""Of the gray values of two thumbnails, each of mean 0 and standard deviation 1: mean square."""
COMPARED_AT_ONCE = 512


@dataclass(frozen=True)
class _Picture:
    """One listed picture and what its pixels are compared by."""

    file: LabelFile
    row: dict
    path: str
    orientation: int = 1
    digest: str = ""
    hashes: tuple[int, int] = (0, 0)
    thumbnail: np.ndarray | None = None


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
        faults, present = _present(listed)
        yield from faults
        faults, readable = _headers(present)
        yield from faults
        sound += readable
    seen = _looked_at(sound)
    yield from _turned(seen)
    yield from _repeated(seen)


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


def _looked_at(pictures: list[_Picture]) -> list[_Picture]:
    """The pictures with what their pixels are compared by; a file listed twice is read once."""
    with ThreadPoolExecutor(max_workers=min(16, 2 * (os.cpu_count() or 1))) as pool:
        return list(
            tqdm(
                pool.map(_look, pictures),
                total=len(pictures),
                desc="comparing pictures",
                unit="img",
                delay=5,
                disable=None,
            )
        )


def _look(picture: _Picture) -> _Picture:
    pixels = read_picture(picture.path)
    gray = Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY))
    mirrored = gray.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    small = np.asarray(gray.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX), np.float32)
    thumbnail = (small - small.mean()) / max(float(small.std()), 1.0)
    return _Picture(
        picture.file,
        picture.row,
        picture.path,
        _orientation(picture.path),
        hashlib.sha256(pixels.tobytes() + str(pixels.shape).encode()).hexdigest(),
        (_hash(gray), _hash(mirrored)),
        thumbnail,
    )


def read_picture(path: str) -> np.ndarray:
    """(H, W, 3) uint8, BGR, as training sees it.

    Raises:
        OSError: No file, or one that cannot be decoded.
    """
    if is_dicom(path):
        return read_film(path)
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise OSError(f"expected a picture in {path}, OpenCV cannot decode it; export it again")
    return pixels


def _orientation(path: str) -> int:
    """EXIF's number for how the picture is turned; 1 is upright."""
    if is_dicom(path):
        return 1
    with Image.open(path) as image:
        # the base method: that of PNG decodes the whole picture to look for a late EXIF chunk
        return int(Image.Image.getexif(image).get(EXIF_ORIENTATION, 1))


def _hash(gray: Image.Image) -> int:
    """The 64 bits of a perceptual hash, by the low frequencies of the cosine transform."""
    return int.from_bytes(np.packbits(imagehash.phash(gray).hash).tobytes(), "big")


def _turned(pictures: list[_Picture]) -> Iterator[Fault]:
    for picture in pictures:
        if picture.orientation != 1:
            yield _fault(
                "exif_turned",
                picture,
                f"its EXIF orientation is {picture.orientation}: some programs turn it, others do "
                "not, and labels fit one of both",
            )


def _repeated(pictures: list[_Picture]) -> Iterator[Fault]:
    """Each picture that was there before, with the first one that it is like."""
    first_with: dict[str, int] = {}
    rest: list[int] = []
    for index, picture in enumerate(pictures):
        first = first_with.setdefault(picture.digest, index)
        if first == index:
            rest.append(index)
        elif pictures[first].path != picture.path or pictures[first].file is not picture.file:
            yield _pair("duplicate", pictures[first], picture, "has the pixels of", 1)
    for earlier, later, bits, mirrored in near_pairs([pictures[index] for index in rest]):
        how = "is nearly the mirror image of" if mirrored else "is nearly"
        yield _pair("near_duplicate", earlier, later, how, 1 - bits / 64)


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


def near_pairs(pictures: Sequence[_Picture]) -> Iterator[tuple[_Picture, _Picture, int, bool]]:
    """The nearest earlier picture of each that has one within ``MOST_BITS``.

    A picture of another file comes before a nearer one of the same. Thumbnails must agree as well:
    hashes of plain pictures are close by chance.

    Yields:
        The earlier picture, the later one, the bits in which they differ, and whether one is
        the mirror image of the other.
    """
    if not pictures:
        return
    hashes = np.array([picture.hashes for picture in pictures], np.uint64)
    file_of = np.array([id(picture.file) for picture in pictures])
    candidates: dict[int, list[tuple[bool, int, int, bool]]] = defaultdict(list)
    for start in range(0, len(pictures), COMPARED_AT_ONCE):
        rows = hashes[start : start + COMPARED_AT_ONCE, 0]
        for mirrored in (False, True):
            bits = np.bitwise_count(rows[:, None] ^ hashes[None, :, int(mirrored)])
            for row, first in zip(*np.nonzero(bits <= MOST_BITS), strict=True):
                second = start + int(row)
                if first < second and _alike(pictures[first], pictures[second], mirrored):
                    same_file = bool(file_of[first] == file_of[second])
                    candidates[second].append(
                        (same_file, int(bits[row, first]), int(first), mirrored)
                    )
    for second, found in candidates.items():
        _, bit_count, first, mirrored = min(found)
        yield pictures[first], pictures[second], bit_count, mirrored


def _alike(first: _Picture, second: _Picture, mirrored: bool) -> bool:
    if first.thumbnail is None or second.thumbnail is None:
        return False
    other = second.thumbnail[:, ::-1] if mirrored else second.thumbnail
    return float(((first.thumbnail - other) ** 2).mean()) <= MOST_DIFFERENCE
