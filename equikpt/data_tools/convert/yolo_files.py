"""The files of a YOLO dataset: which images an entry of ``data.yaml`` means, and their labels.

As Ultralytics reads them (``check_det_dataset``, ``BaseDataset.get_img_files``): an entry is a
folder, which is walked whole, or a text file that lists images, or a list of either.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from equikpt.core.issues import format_examples
from equikpt.data_tools.convert.coco_files import split_named
from equikpt.data_tools.convert.images import IMAGE_SUFFIXES, ImageFolders
from equikpt.data_tools.convert.records import cut, safe_name
from equikpt.data_tools.convert.text_file import read_text

LIST_SUFFIX = ".txt"


@dataclass(frozen=True)
class ListedImage:
    """An image of a split.

    Args:
        image: Its file, or where it would be.
        label: Its label file, which may be absent.
        place: Where the dataset has it: ``image``, unless that lies in another folder.
    """

    image: Path
    label: Path
    place: Path


class YoloFiles:
    """Images by the entries of a ``data.yaml``.

    Args:
        description: The ``data.yaml``.
        root: Its ``path``, if any.
        images: Folder of the images, where they lie apart from the labels.
    """

    def __init__(self, description: Path, root: object, images: Path | None = None) -> None:
        self._description = description
        bases = [description.parent / str(root)] if root else []
        self._bases = [*bases, description.parent]
        self._images = images

    def exist(self, entries: Sequence[str]) -> bool:
        """True where every folder or list is there."""
        return all(self._existing(entry) is not None for entry in entries)

    def find(self, split: str, entries: Sequence[str]) -> tuple[list[ListedImage], list[str]]:
        """The images of a split, each once, and notes.

        Raises:
            FileNotFoundError: If an entry leads nowhere, or to no image.
        """
        found: list[ListedImage] = []
        folders: list[Path] = []
        for entry in entries:
            place = self._existing(entry)
            if place is not None and place.is_dir():
                folders.append(place)
                found += [ListedImage(path, label_path(path), path) for path in _walk(place)]
            elif place is not None and place.suffix.lower() == LIST_SUFFIX:
                found += self._listed(read_text(place).splitlines(), place.parent)
            elif place is not None or PurePosixPath(entry).suffix.lower() in IMAGE_SUFFIXES:
                found += self._listed([entry], self._description.parent)
            else:
                raise FileNotFoundError(
                    f"{self._description} names '{cut(entry)}' for split '{split}', and there "
                    f"is no such folder or list from {self._description.parent}; correct the path"
                )
        if not found:
            raise FileNotFoundError(
                f"no images for split '{split}' in {cut(', '.join(entries))}; correct "
                f"'{split}' in {self._description}"
            )
        once = {image.image: image for image in found}
        notes = []
        if len(once) < len(found):
            notes.append(f"{split}: {len(found) - len(once)} images are listed twice, read once")
        listed = sorted(once.values(), key=lambda image: image.place)
        return listed, [*notes, *self._label_notes(split, listed, folders)]

    def _existing(self, entry: str) -> Path | None:
        """The folder or list that an entry means.

        Paths of another machine, and Roboflow's ``../train/images`` for a folder that stands beside
        ``data.yaml``, are cut from the left until they lead to one.
        """
        for number, (tail, place) in enumerate(self._candidates(entry)):
            told = number < len(self._bases) or "/" in tail or split_named(tail)
            if told and os.path.exists(place):  # unlike pathlib's, of any text
                return place.resolve()
        return None

    def _candidates(self, name: str) -> Iterator[tuple[str, Path]]:
        """As it stands, and then every tail of the path, the longest first."""
        name = name.strip().replace("\\", "/")
        yield from ((name, base / name) for base in self._bases)
        parts = [part for part in name.split("/") if part not in ("", ".", "..")]
        tails = ("/".join(parts[start:]) for start in range(len(parts)))
        yield from ((tail, base / tail) for tail in tails for base in self._bases)

    def _listed(self, lines: Sequence[str], beside: Path) -> list[ListedImage]:
        """The images that a list names, from its own folder, the dataset's or the images'."""
        names = [line.strip() for line in lines if line.strip()]
        for name in names:
            safe_name(name)
        places = [self._place(name, beside) for name in names]
        images = places
        if self._images is not None:
            folders = ImageFolders([self._images], root=self._images)
            relative = [name.replace("\\", "/").lstrip("/") for name in names]
            images = folders.find_all([[name] for name in relative])
        return [
            ListedImage(place if place.is_file() else image, label_path(place), place)
            for place, image in zip(places, images, strict=True)
        ]

    def _place(self, name: str, beside: Path) -> Path:
        candidates = [beside / name, *(place for _, place in self._candidates(name))]
        tests = (os.path.isfile, lambda place: os.path.isfile(label_path(place)))
        found = (place for test in tests for place in candidates if test(place))
        return Path(os.path.abspath(next(found, candidates[0])))

    def _label_notes(
        self, split: str, listed: Sequence[ListedImage], folders: Sequence[Path]
    ) -> list[str]:
        bare = [image.place.name for image in listed if not image.label.is_file()]
        if len(bare) == len(listed):
            raise FileNotFoundError(
                f"none of the {len(listed)} images of split '{split}' has a label file (looked "
                f"for {listed[0].label}); put the labels there, or leave the split out"
            )
        labels = {image.label for image in listed}
        places = {label_path(folder / "a.jpg").parent for folder in folders}
        orphans = [
            path.name
            for place in sorted(places)
            for path in sorted(place.rglob("*.txt"))
            if path not in labels and path.name != "classes.txt"
        ]
        notes = [f"{split}: images without a label file ({format_examples(bare)})"] if bare else []
        if orphans:
            notes.append(f"{split}: label files without an image ({format_examples(orphans)})")
        return notes


def label_path(image: Path) -> Path:
    """``…/images/…/a.jpg`` has its labels in ``…/labels/…/a.txt``."""
    parts = list(image.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def common_folder(listed: Sequence[ListedImage]) -> Path:
    """The deepest folder that all images of a split lie under; names count from it."""
    return Path(os.path.commonpath([image.place.parent for image in listed]))


def _walk(folder: Path) -> list[Path]:
    """All images under a folder and what its links lead to, without hidden files."""
    found, seen = [], set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(place, name) for name in files if not name.startswith(".")]
    return sorted(path for path in found if path.suffix.lower() in IMAGE_SUFFIXES)
