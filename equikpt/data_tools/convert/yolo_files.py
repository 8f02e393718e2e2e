"""The files of a YOLO dataset: which images an entry of ``data.yaml`` means, and their labels.

As Ultralytics reads them (``check_det_dataset``, ``BaseDataset.get_img_files``): an entry is a
folder, which is walked whole, or a text file that lists images, or a list of either.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from equikpt.data_tools.convert.images import IMAGE_SUFFIXES, ImageFolders
from equikpt.data_tools.convert.input_files import read_text
from equikpt.data_tools.convert.names import cut, safe_name, split_named
from equikpt.data_tools.convert.records import noted
from equikpt.data_tools.convert.yolo_description import Description


@dataclass(frozen=True)
class ListedImage:
    """An image of a split.

    Args:
        image: Its file, or where it would be.
        label: Its label file, which may be absent.
        listed: Its path in the dataset: ``image``, unless that lies in another folder.
    """

    image: Path
    label: Path
    listed: Path


class YoloFiles:
    """Images by the entries of a ``data.yaml``.

    Args:
        description: The ``data.yaml``.
        images: Folder of the images, where they lie apart from the labels.
    """

    def __init__(self, description: Description, images: Path | None = None) -> None:
        self._file, self._beside = description.path, description.path.parent
        own = [self._beside / description.root] if description.root else []
        self._bases = [*own, self._beside]
        self._images = images

    def exist(self, entries: Sequence[str]) -> bool:
        """True where every folder or list is there."""
        return all(self._existing(entry) is not None for entry in entries)

    def find(self, split: str, entries: Sequence[str]) -> tuple[list[ListedImage], list[str]]:
        """Find the images of a split, each once, and notes.

        Raises:
            FileNotFoundError: If an entry leads nowhere, or to no image.
        """
        found: list[ListedImage] = []
        folders: list[Path] = []
        for entry in entries:
            path = self._existing(entry)
            if path is not None and path.is_dir():
                folders.append(path)
                found += [ListedImage(file, label_path(file), file) for file in _walk(path)]
            elif path is not None and path.suffix.lower() == ".txt":
                found += self._listed(read_text(path).splitlines(), path.parent)
            elif path is not None or PurePosixPath(entry).suffix.lower() in IMAGE_SUFFIXES:
                found += self._listed([entry], self._beside)
            else:
                raise FileNotFoundError(
                    f"{self._file} names '{cut(entry)}' for split '{split}', and there is no such "
                    f"folder or list from {self._beside}; correct the path"
                )
        if not found:
            raise FileNotFoundError(
                f"no images for split '{split}' in {cut(', '.join(entries))}; correct '{split}' "
                f"in {self._file}"
            )
        once = {image.image: image for image in found}
        notes = []
        if len(once) < len(found):
            notes.append(f"{split}: {len(found) - len(once)} images are listed twice, read once")
        images = sorted(once.values(), key=lambda image: image.listed)
        return images, [*notes, *_label_notes(split, images, folders)]

    def _existing(self, entry: str) -> Path | None:
        """The folder or list that an entry means.

        Paths of another machine, and Roboflow's ``../train/images`` for a folder that stands beside
        ``data.yaml``, are cut from the left until they lead to one.
        """
        for number, (tail, path) in enumerate(self._candidates(entry)):
            telling = number < len(self._bases) or "/" in tail or split_named(tail)
            if telling and os.path.exists(path):  # unlike pathlib's, of any text
                return path.resolve()
        return None

    def _candidates(self, name: str) -> Iterator[tuple[str, Path]]:
        """The path as it stands, and then every tail of it, the longest first."""
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
        listed = [self._path(name, beside) for name in names]
        images = listed
        if self._images is not None:
            folders = ImageFolders([self._images], root=self._images)
            images = folders.find_all([[name.replace("\\", "/").lstrip("/")] for name in names])
        return [
            ListedImage(path if os.path.isfile(path) else image, label_path(path), path)
            for path, image in zip(listed, images, strict=True)
        ]

    def _path(self, name: str, beside: Path) -> Path:
        candidates = [beside / name, *(path for _, path in self._candidates(name))]
        tests = (os.path.isfile, lambda path: os.path.isfile(label_path(path)))
        found = (path for test in tests for path in candidates if test(path))
        return Path(os.path.abspath(next(found, candidates[0])))


def _label_notes(split: str, images: Sequence[ListedImage], folders: Sequence[Path]) -> list[str]:
    bare = [image.listed.name for image in images if not os.path.isfile(image.label)]
    if len(bare) == len(images):
        raise FileNotFoundError(
            f"none of the {len(images)} images of split '{split}' has a label file (looked for "
            f"{images[0].label}); put the labels there, or leave the split out"
        )
    labels = {image.label for image in images}
    orphans = [
        path.name
        for folder in sorted({label_path(folder / "a.jpg").parent for folder in folders})
        for path in sorted(folder.rglob("*.txt"))
        if path not in labels and path.name != "classes.txt"
    ]
    return [
        *noted(f"{split}: images without a label file", bare),
        *noted(f"{split}: label files without an image", orphans),
    ]


def label_path(image: Path) -> Path:
    """``…/images/…/a.jpg`` has its labels in ``…/labels/…/a.txt``."""
    parts = list(image.parts)
    if "images" in parts[:-1]:
        parts[len(parts) - 2 - parts[-2::-1].index("images")] = "labels"
    return Path(*parts).with_suffix(".txt")


def _walk(folder: Path) -> list[Path]:
    """All images under a folder and what its links lead to, without hidden files."""
    found, seen = [], set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(root, name) for name in files if not name.startswith(".")]
    return sorted(path for path in found if path.suffix.lower() in IMAGE_SUFFIXES)
