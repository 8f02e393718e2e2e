"""Finding the images that labels name, and their sizes in px."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from equikpt.core.image_checks import loaded_size_px, name_in_other_case
from equikpt.core.image_decoding import DICOM_SUFFIXES, ImageError, is_dicom, read_header
from equikpt.core.issues import format_examples
from equikpt.data_tools.convert.records import Instance, LabelledImage, SourceDataset, safe_name

IMAGE_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp", *DICOM_SUFFIXES}

MAX_MISSING_SHARE = 0.1
"""Up to this share of missing images a conversion goes on without them, as training does."""


class ImageFolders:
    """Where the images of a dataset may lie.

    Args:
        folders: Looked through in this order.
        root: Searched through and through where that did not help; None if not.
    """

    def __init__(self, folders: Sequence[Path], root: Path | None = None) -> None:
        self._folders = [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
        self._root = root
        self._index: dict[tuple[str, ...], list[Path]] | None = None

    def find_all(self, images: Sequence[Sequence[str]]) -> list[Path]:
        """The file of each image, or where it was expected.

        The file is the one whose path has the longest common tail with one of the image's names.
        Where several have, or another image has as long a one with it, it is none.

        Args:
            images: For each the names it may have, which may be absolute, lead upwards with
                ``..``, or be those of Windows.
        """
        keys = [tuple(names) for names in images]
        found = {names: self._longest([_parts(name) for name in names]) for names in set(keys)}
        ranks_of: dict[Path | None, list[tuple[bool, int]]] = defaultdict(list)
        for path, rank in found.values():
            ranks_of[path].append(rank)
        settled = []
        for names in keys:
            path, rank = found[names]
            owned = rank == max(ranks_of[path]) and ranks_of[path].count(rank) == 1
            expected = (self._folders[0] if self._folders else Path()) / safe_name(names[0])
            settled.append(path if path is not None and owned else expected)
        return settled

    def _longest(self, names: Sequence[tuple[str, ...]]) -> tuple[Path | None, tuple[bool, int]]:
        """The file with the longest tail, whether that is the whole name, and its length."""
        best: tuple[Path | None, tuple[bool, int]] = (None, (False, 0))
        for parts in names:
            for path, length in (self._direct(parts), self._deeper(parts)):
                rank = (length == len(parts), length)
                if path is not None and rank[1] > best[1][1]:
                    best = (path, rank)
                if best[1][0]:
                    return best
        return best

    def _direct(self, parts: tuple[str, ...]) -> tuple[Path | None, int]:
        """The file in one of the folders that has the longest tail of the name."""
        for length in range(len(parts), 0, -1):
            for folder in self._folders:
                path = folder.joinpath(*parts[-length:])
                if path.is_file():
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


def _parts(name: str) -> tuple[str, ...]:
    """Folders and file of a name, without the drive and what leads upwards.

    Raises:
        ValueError: It names no file.
    """
    parts: list[str] = []
    for part in name.replace("\\", "/").split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", ".") and not part.endswith(":"):
            parts.append(part)
    if not parts or name.rstrip("/\\").endswith(".."):
        raise ValueError(f"the labels name an image '{name}'; expected a file name")
    return tuple(parts)


def _common_tail(path: Sequence[str], other: Sequence[str]) -> int:
    pairs = zip(reversed(path), reversed(other), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def output_names(names: Sequence[str]) -> list[str]:
    """Names in the output of the images of one file, each below its folder.

    A name that is below a folder stays. Others name a place on somebody's machine: of them the file
    stays or, where two of them are called alike, what comes after their common folders.

    Raises:
        ValueError: One names no file.
    """
    rooted = {name: _parts(name) for name in names if safe_name(name) != _plain(name)}
    bare = Counter(parts[-1] for parts in set(rooted.values()))
    if not rooted or max(bare.values()) == 1:
        return [safe_name(name) for name in names]
    folders = [parts[:-1] for parts in rooted.values()]
    common = len(list(takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False))))
    return [
        "/".join(rooted[name][common:]) if name in rooted else safe_name(name) for name in names
    ]


def _plain(name: str) -> str:
    parts = name.replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", "."))


def size_px(path: Path) -> tuple[int, int]:
    """Width and height as training loads the image.

    Raises:
        ValueError: If the file is no image.
    """
    try:
        return loaded_size_px(str(path))
    except ImageError as error:
        raise ValueError(f"{path} is damaged ({error.reason}); replace or remove it") from error


def sizes_px(paths: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Sizes of the images that exist, read in threads.

    Raises:
        ValueError: If a file is no image.
    """
    existing = [path for path in dict.fromkeys(paths) if path.is_file()]
    with ThreadPoolExecutor(max_workers=min(16, 4 * (os.cpu_count() or 1))) as pool:
        sizes = tqdm(
            pool.map(size_px, existing),
            total=len(existing),
            desc="reading sizes",
            unit="img",
            delay=5,
            disable=None,
        )
        return dict(zip(existing, sizes, strict=True))


class SizeLedger:
    """Sizes that labels state against those of the images, and the notes about it."""

    def __init__(self, measured: dict[Path, tuple[int, int]]) -> None:
        self._measured = measured
        self._swapped: list[str] = []

    def settle(
        self, name: str, path: Path, stated: tuple[int, int] | None, points: np.ndarray
    ) -> tuple[int, int]:
        """The size in px to which an image's coordinates belong; (0, 0) where nothing tells it.

        Width and height that the file swapped are put right: the image shows it or, where it is
        missing, labelled points that lie inside only then.

        Args:
            name: The image's name, for messages.
            path: The image, which may be missing.
            stated: Width and height of the label file.
            points: (N, 2) labelled points, px.

        Raises:
            ValueError: If the image has another size than the one that was labelled.
        """
        actual = self._measured.get(path)
        if stated is None or min(stated) <= 0:
            return actual or (0, 0)
        turned = stated[::-1]
        if actual is None:
            inside = [not len(points) or (points <= size).all() for size in (stated, turned)]
            actual = turned if inside == [False, True] else stated
        if actual == stated:
            return stated
        if actual != turned:
            raise ValueError(
                f"{name} was labelled as {stated[0]} x {stated[1]} px, and {path} has "
                f"{actual[0]} x {actual[1]}; give the images that were labelled"
            )
        if path in self._measured and _unturned_size_px(path) == stated:
            raise ValueError(
                f"{name} was labelled as {stated[0]} x {stated[1]} px, and an EXIF tag turns "
                f"{path} when training loads it; save the images turned, without the tag, and "
                "label them again"
            )
        self._swapped.append(name)
        return turned

    def notes(self) -> list[str]:
        """Say what was put right."""
        if not self._swapped:
            return []
        swapped = format_examples(self._swapped)
        return [f"width and height were swapped in the file, put right ({swapped})"]


def _unturned_size_px(path: Path) -> tuple[int, int] | None:
    """Width and height in the file, before its EXIF tag turns it; None for DICOM."""
    return None if is_dicom(path) else read_header(path).size_px


def drop_missing(dataset: SourceDataset, advice: str = "") -> None:
    """Leave the images out that are not on disk, and say so.

    Args:
        dataset: Changed in place.
        advice: What else the user can do without images, for the message.

    Raises:
        FileNotFoundError: If all of them or more than :data:`MAX_MISSING_SHARE` are missing.
    """
    images = list(dataset.images())
    missing = [image for image in images if not image.exists]
    if not missing:
        return
    names = format_examples([image.file_name for image in missing])
    if len(missing) > MAX_MISSING_SHARE * len(images):
        path = missing[0].path
        other_case = name_in_other_case(str(path))
        told = (
            f"'{other_case}' is there: make upper and lower case agree with the labels"
            if other_case
            else f"say with --images where they are (looked for {path}){advice}"
        )
        raise FileNotFoundError(
            f"{len(missing)} of {len(images)} images are missing ({names}); {told}"
        )
    dataset.notes.append(
        f"{len(missing)} of {len(images)} images are missing on disk and left out with their "
        f"labels ({names})"
    )
    for split, listed in dataset.splits.items():
        dataset.splits[split] = [image for image in listed if image.exists]


def refuse_unknown_sizes(dataset: SourceDataset) -> None:
    """Stop at images of which nothing tells the size.

    Raises:
        FileNotFoundError: If there is one.
    """
    unknown = [image for image in dataset.images() if not image.width]
    if unknown:
        names = format_examples([image.file_name for image in unknown])
        raise FileNotFoundError(
            f"the sizes of {len(unknown)} images are not known ({names}); the labels do not "
            "state them, so "
            "say with --images where the images are"
        )


def with_instances(image: LabelledImage, instances: Iterable[Instance]) -> LabelledImage:
    """The image with other animals."""
    return replace(image, instances=tuple(instances))
