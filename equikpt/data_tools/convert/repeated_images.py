"""Find images that two splits have, by what they show and not by their names."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from pathlib import Path

from tqdm.contrib.concurrent import thread_map

from equikpt.core.issues import format_examples
from equikpt.data_tools.convert.records import SPLITS, LabelledImage, SourceDataset, noted
from equikpt.data_tools.near_duplicates import Fingerprint, near_pairs, read_fingerprints
from equikpt_runtime.images import ImageError

ROBOFLOW = ".rf."
"""Part of the names of images of which Roboflow may have made several versions."""

SplitImage = tuple[str, LabelledImage]
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
    rows = [
        (split, image)
        for split in SPLITS
        for image in dataset.splits.get(split, [])
        if os.path.isfile(image.path)
    ]
    earlier: dict[int, str] = {}
    for first, later in (*_equal_files(rows), *_near_versions(rows, dataset.notes)):
        if first[0] != later[0]:
            earlier.setdefault(id(later[1]), first[0])
    for split, images in dataset.splits.items():
        removed = [image for image in images if id(image) in earlier]
        names = [f"{image.file_name} (in {earlier[id(image)]})" for image in removed]
        if removed and len(removed) == len(images):
            raise ValueError(
                f"all {len(images)} images of {split} are in an earlier split as well "
                f"({format_examples(names)}); give it images of its own, or remove it"
            )
        dataset.splits[split] = [image for image in images if id(image) not in earlier]
        text = f"{split}: {len(removed)} images removed, since an earlier split has them"
        dataset.notes += noted(text, names)


def _in_several_splits(
    rows: Iterable[SplitImage], key: Callable[[LabelledImage], Hashable]
) -> list[list[SplitImage]]:
    """The images of each key that several splits have."""
    groups: dict[Hashable, list[SplitImage]] = defaultdict(list)
    for split, image in rows:
        groups[key(image)].append((split, image))
    return [group for group in groups.values() if len({split for split, _ in group}) > 1]


def _equal_files(rows: Sequence[SplitImage]) -> Iterator[tuple[SplitImage, SplitImage]]:
    """Images of equal bytes, each with the first one. Only files of one size are read."""
    alike = sum(_in_several_splits(rows, lambda image: image.path.stat().st_size), [])
    paths = [image.path for _, image in alike]
    digests = thread_map(_digest, paths, desc="comparing files", delay=5, disable=None)
    digest_of = dict(zip(paths, digests, strict=True))
    for group in _in_several_splits(alike, lambda image: digest_of[image.path]):
        first = group[0][1].path
        shown = _fingerprints([first])
        if first in shown and shown[first].fine.any():  # a plain image is like no other
            yield from ((group[0], row) for row in group)


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def _near_versions(
    rows: Sequence[SplitImage], notes: list[str]
) -> Iterator[tuple[SplitImage, SplitImage]]:
    """Images of one source name in two splits that are nearly the same, the earlier one first."""
    groups = _in_several_splits(rows, lambda image: image.source_name)
    prints = _fingerprints([image.path for group in groups for _, image in group])
    unlike = []
    for group in groups:
        readable = [row for row in group if row[1].path in prints]
        found = [
            (readable[pair.first], readable[pair.second])
            for pair in near_pairs([prints[image.path] for _, image in readable])
        ]
        yield from found
        seen = {id(image) for _, (_, image) in found}
        unlike += [
            image.file_name
            for split, image in group
            if split != group[0][0] and id(image) not in seen and ROBOFLOW in image.file_name
        ]
    notes += noted(
        "images whose name says that they are a version of one in an earlier split, and which "
        "show something else, kept",
        unlike,
    )


def _fingerprints(paths: Sequence[Path]) -> dict[Path, Fingerprint]:
    """Fingerprints by file; damaged files are left to the checks of the output."""
    try:
        return dict(zip(paths, read_fingerprints(paths), strict=True))
    except ImageError:
        if len(paths) == 1:
            return {}
        return {path: found for path in paths for found in _fingerprints([path]).values()}
