"""Finding the images that labels name, and their sizes in px."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path

import numpy as np
from tqdm.contrib.concurrent import thread_map

from equikpt.core.image_checks import loaded_size_px, name_in_other_case
from equikpt.core.image_decoding import DICOM_SUFFIXES, is_dicom, read_header
from equikpt.core.issues import format_examples
from equikpt.data_tools.convert.names import path_parts, safe_name
from equikpt.data_tools.convert.records import SourceDataset, noted
from equikpt_runtime.images import ImageError

IMAGE_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp", *DICOM_SUFFIXES}

MAX_MISSING = 0.1
"""Up to this fraction of missing images a conversion goes on without them, as training does."""

SizePx = tuple[int, int]
"""Width and height; (0, 0) where nothing tells them."""


class ImageFolders:
    """Folders in which the images of a dataset may lie.

    Args:
        folders: Looked through in this order.
        root: Searched through and through where that did not help; None if not.
    """

    def __init__(self, folders: Sequence[Path], root: Path | None = None) -> None:
        self._folders = [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
        self._root = root
        self._index: dict[tuple[str, ...], list[Path]] | None = None

    def find_all(self, images: Sequence[Sequence[str]]) -> list[Path]:
        """Find the file of each image, or tell where it was expected.

        The file is the one whose path has the longest common tail with one of the image's names.
        Where several have, or another image has as long a one with it, it is none.

        Args:
            images: For each the names it may have, which may be absolute, lead upwards with
                ``..``, or be those of Windows.
        """
        keys = [tuple(names) for names in images]
        found = {names: self._longest([path_parts(name) for name in names]) for names in set(keys)}
        ranks_of: dict[Path | None, list[tuple[bool, int]]] = defaultdict(list)
        for path, rank in found.values():
            ranks_of[path].append(rank)
        paths = []
        for names in keys:
            path, rank = found[names]
            owned = rank == max(ranks_of[path]) and ranks_of[path].count(rank) == 1
            expected = (self._folders[0] if self._folders else Path()) / safe_name(names[0])
            paths.append(path if path is not None and owned else expected)
        return paths

    def _longest(self, names: Sequence[tuple[str, ...]]) -> tuple[Path | None, tuple[bool, int]]:
        """The file with the longest tail, with its rank: if that is the whole name, its length."""
        best: tuple[Path | None, tuple[bool, int]] = (None, (False, 0))
        for parts in names:
            for path, length in (self._direct(parts), self._deeper(parts)):
                if path is not None and length > best[1][1]:
                    best = (path, (length == len(parts), length))
                if best[1][0]:
                    return best
        return best

    def _direct(self, parts: tuple[str, ...]) -> tuple[Path | None, int]:
        """The file in one of the folders that has the longest tail of the name."""
        for length in range(len(parts), 0, -1):
            for folder in self._folders:
                path = folder.joinpath(*parts[-length:])
                if os.path.isfile(path):  # unlike pathlib's, of any name
                    return path, length
        return None, 0

    def _deeper(self, parts: tuple[str, ...]) -> tuple[Path | None, int]:
        """The one file under the root that has the longest tail of the name."""
        if self._index is None:
            self._index = defaultdict(list)
            for path in sorted(self._root.rglob("*")) if self._root else ():
                if path.suffix.lower() in IMAGE_SUFFIXES:
                    self._index[path.parts[-1:]].append(path)
                    self._index[path.parts[-2:]].append(path)
        paths = self._index.get(parts[-2:]) or self._index.get(parts[-1:]) or []
        lengths = [_common_tail(path.parts, parts) for path in paths]
        most = max(lengths, default=0)
        return (paths[lengths.index(most)], most) if lengths.count(most) == 1 else (None, 0)


def _common_tail(path: Sequence[str], other: Sequence[str]) -> int:
    pairs = zip(reversed(path), reversed(other), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def size_px(path: Path) -> SizePx:
    """Width and height as training loads the image; ValueError if it is none."""
    try:
        return loaded_size_px(str(path))
    except ImageError as error:
        raise ValueError(f"{path} is damaged ({error.reason}); replace or remove it") from error


def sizes_px(paths: Iterable[Path]) -> dict[Path, SizePx]:
    """Sizes of the images that exist, as :func:`size_px`, read in threads."""
    existing = [path for path in dict.fromkeys(paths) if os.path.isfile(path)]
    sizes = thread_map(size_px, existing, desc="reading sizes", unit="img", delay=5, disable=None)
    return dict(zip(existing, sizes, strict=True))


def labelled_sizes(
    names: Sequence[str],
    paths: Sequence[Path],
    stated: Sequence[SizePx | None],
    points: Sequence[np.ndarray],
) -> tuple[list[SizePx], list[str]]:
    """Sizes to which the coordinates of the images of one file belong, and notes.

    Width and height that the file swapped are put right: the image shows it or, where it is
    missing, labelled points that lie inside only then.

    Args:
        names: N names, for messages.
        paths: N images, which may be missing.
        stated: N sizes that the label file states, if it does.
        points: N arrays (M, 2) of labelled points, px.

    Raises:
        ValueError: If an image has another size than the one that was labelled.
    """
    measured = sizes_px(paths)
    sizes, swapped = [], []
    for name, path, said, xy in zip(names, paths, stated, points, strict=True):
        actual = measured.get(path)
        if said is None or min(said) <= 0:
            sizes.append(actual or (0, 0))
            continue
        turned = said[::-1]
        if actual is None:
            inside = [not len(xy) or (xy <= size).all() for size in (said, turned)]
            actual = turned if inside == [False, True] else said
        elif actual != said:
            _refuse_other_size(name, path, said, actual)
        sizes.append(actual)
        if actual != said:
            swapped.append(name)
    return sizes, noted("width and height were swapped in the file, put right", swapped)


def _refuse_other_size(name: str, path: Path, stated: SizePx, actual: SizePx) -> None:
    labelled = f"{name} was labelled as {stated[0]} x {stated[1]} px, and"
    if actual != stated[::-1]:
        raise ValueError(
            f"{labelled} {path} has {actual[0]} x {actual[1]}; give the images that were labelled"
        )
    if not is_dicom(path) and read_header(path).size_px == stated:  # before its tag turns it
        raise ValueError(
            f"{labelled} an EXIF tag turns {path} when training loads it; save the images turned, "
            "without the tag, and label them again"
        )


def drop_missing(dataset: SourceDataset) -> None:
    """Leave the images out that are not on disk, and note them.

    Raises:
        FileNotFoundError: If all of them or more than :data:`MAX_MISSING` are missing.
    """
    images = list(dataset.images())
    missing = [image for image in images if not image.exists]
    if not missing:
        return
    names = format_examples([image.file_name for image in missing])
    if len(missing) > MAX_MISSING * len(images):
        path = missing[0].path
        other_case = name_in_other_case(str(path))
        advice = (
            f"'{other_case}' is there: make upper and lower case agree with the labels"
            if other_case
            else f"give their folder as images (looked for {path})"
        )
        raise FileNotFoundError(
            f"{len(missing)} of {len(images)} images are missing ({names}); {advice}"
        )
    dataset.notes.append(
        f"{len(missing)} of {len(images)} images are missing on disk and left out with their "
        f"labels ({names})"
    )
    for split, listed in dataset.splits.items():
        dataset.splits[split] = [image for image in listed if image.exists]


def refuse_unknown_sizes(dataset: SourceDataset) -> None:
    """Raise FileNotFoundError if nothing tells the size of an image."""
    unknown = [image.file_name for image in dataset.images() if not image.width]
    if unknown:
        raise FileNotFoundError(
            f"the sizes of {len(unknown)} images are not known ({format_examples(unknown)}); the "
            "labels do not state them: give the folder of the images as images"
        )
