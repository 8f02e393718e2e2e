"""Find images that two splits have, by what they show and not by their names."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from equikpt.core.image_decoding import ImageError
from equikpt.core.issues import format_examples
from equikpt.data_tools.convert.records import SPLITS, LabelledImage, SourceDataset
from equikpt.data_tools.near_duplicates import Fingerprint, near_pairs, read_fingerprints

ROBOFLOW = ".rf."
"""Stands in the names of images of which Roboflow may have made several versions."""

Placed = tuple[str, LabelledImage]
"""An image and its split."""


def drop_repeated_sources(dataset: SourceDataset) -> None:
    """Remove from val and test the images that an earlier split has.

    A score on images that were trained on says nothing. Train keeps its images. The same are files
    of equal bytes, whatever their names, and images of one name that are nearly the same: a file
    compressed anew, or a version that Roboflow made.

    Args:
        dataset: Changed in place.

    Raises:
        ValueError: A split would lose all of its images.
    """
    placed = [
        (split, image)
        for split in SPLITS
        for image in dataset.splits.get(split, [])
        if image.path.is_file()
    ]
    earlier: dict[int, str] = {}
    for first, later in (*_equal_files(placed), *_near_versions(placed, dataset.notes)):
        if first[0] != later[0]:
            earlier.setdefault(id(later[1]), first[0])
    for split, images in dataset.splits.items():
        removed = [image for image in images if id(image) in earlier]
        if not removed:
            continue
        told = format_examples(
            [f"{image.file_name} (in {earlier[id(image)]})" for image in removed]
        )
        if len(removed) == len(images):
            raise ValueError(
                f"all {len(images)} images of {split} are in an earlier split as well ({told}); "
                "give it images of its own, or remove it"
            )
        dataset.splits[split] = [image for image in images if id(image) not in earlier]
        dataset.notes.append(
            f"{split}: {len(removed)} images removed, since an earlier split has them ({told})"
        )


def _equal_files(placed: Sequence[Placed]) -> Iterator[tuple[Placed, Placed]]:
    """Images of equal bytes, each with the first one. Only files of one size are read."""
    of_size: dict[int, list[Placed]] = defaultdict(list)
    for split, image in placed:
        of_size[image.path.stat().st_size].append((split, image))
    alike = [
        row for rows in of_size.values() if len({split for split, _ in rows}) > 1 for row in rows
    ]
    with ThreadPoolExecutor(max_workers=min(16, 2 * (os.cpu_count() or 1))) as pool:
        digests = pool.map(_digest, [image.path for _, image in alike])
        bar = tqdm(digests, total=len(alike), desc="comparing files", delay=5, disable=None)
        of_digest: dict[bytes, list[Placed]] = defaultdict(list)
        for row, digest in zip(alike, bar, strict=True):
            of_digest[digest].append(row)
    for rows in of_digest.values():
        if len({split for split, _ in rows}) > 1 and _shows_something(rows[0][1].path):
            yield from ((rows[0], row) for row in rows)


def _shows_something(path: Path) -> bool:
    """Tell if an image is not plain; a plain one is like no other."""
    found = _fingerprints([path])
    return path in found and bool(found[path].fine.any())


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def _near_versions(placed: Sequence[Placed], notes: list[str]) -> Iterator[tuple[Placed, Placed]]:
    """Images of one source name in two splits that are nearly the same, the earlier one first."""
    of_name: dict[str, list[Placed]] = defaultdict(list)
    for split, image in placed:
        of_name[image.source_name].append((split, image))
    groups = [rows for rows in of_name.values() if len({split for split, _ in rows}) > 1]
    prints = _fingerprints([image.path for rows in groups for _, image in rows])
    unlike = []
    for rows in groups:
        readable = [row for row in rows if row[1].path in prints]
        found = [
            (readable[pair.first], readable[pair.second])
            for pair in near_pairs([prints[image.path] for _, image in readable])
        ]
        yield from found
        seen = {id(image) for _, (_, image) in found}
        unlike += [
            image.file_name
            for split, image in rows
            if split != rows[0][0] and id(image) not in seen and ROBOFLOW in image.file_name
        ]
    if unlike:
        notes.append(
            "images whose name says that they are a version of one in an earlier split, and which "
            f"show something else, kept ({format_examples(unlike)})"
        )


def _fingerprints(paths: Sequence[Path]) -> dict[Path, Fingerprint]:
    """By file; damaged ones are left to the checks of the output."""
    try:
        return dict(zip(paths, read_fingerprints(paths), strict=True))
    except ImageError:
        prints = {}
        for path in paths:
            try:
                prints[path] = read_fingerprints([path])[0]
            except ImageError:
                continue
        return prints
