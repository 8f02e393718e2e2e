"""Writing a converted dataset so that half of one is never taken for a whole.

Everything is built in a hidden folder inside the output and checked there. What would be replaced
is set aside before the first part moves in, and comes back where one cannot: at once, or at the
next run into that output if this one was killed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from equikpt.data_tools.convert.records import LabelledImage
from equikpt_runtime.files import write_text

STAGING = ".converting"
_NEW, _OLD, _JOURNAL = "new", "old", "parts.json"


@dataclass(frozen=True)
class Options:
    """Choices of how a format is written.

    Args:
        link: Hard links instead of copies: no disk space, but an edit changes both.
        image_prefix: What a labelling tool puts before an image's name to find it; None for the
            format's own.
    """

    link: bool = False
    image_prefix: str | None = None


def annotation_file(root: Path, split: str) -> Path:
    """Where the layout has the labels of a split."""
    return root / "annotations" / f"{split}.json"


def image_folder(root: Path, split: str) -> Path:
    """Where the layout has the images of a split."""
    return root / "images" / split


def refuse_collisions(
    output: Path, splits: dict[str, list[LabelledImage]], overwrite: bool, labels_only: bool = False
) -> None:
    """Stop before anything is overwritten that was not meant to be.

    Raises:
        FileExistsError: If a split is there already and ``overwrite`` is not set, or is a link.
        ValueError: If the output holds the images to convert, or two of a split share a name.
    """
    refuse_repeated_names(splits)
    restore(output)
    for split, images in splits.items():
        parts = [annotation_file(Path(), split)]
        if not labels_only:
            refuse_own_images(image_folder(output, split), images)
            parts.append(image_folder(Path(), split))
        refuse_existing(output, parts, overwrite)


def refuse_existing(output: Path, parts: Iterable[Path], overwrite: bool) -> None:
    """Stop where a part is there already, and where it would not lie in the output.

    Args:
        output: Folder to write into.
        parts: Files and folders of it, relative.
        overwrite: Replace what is there, but never what a link leads to.

    Raises:
        FileExistsError: If a part exists and ``overwrite`` is not set, or one leads elsewhere.
    """
    for part in parts:
        for path in (output / part, *map(output.joinpath, part.parents[:-1])):
            if path.is_symlink():
                raise FileExistsError(
                    f"{path} is a link to {os.readlink(path)}, where nothing is replaced; remove "
                    "the link or choose another output"
                )
        if (output / part).exists() and not overwrite:
            raise FileExistsError(f"{output / part} exists; choose another output or set overwrite")


def refuse_repeated_names(splits: dict[str, list[LabelledImage]]) -> None:
    """Raise ValueError if two images of a split would be one file."""
    for split, images in splits.items():
        for name, number in Counter(image.file_name for image in images).most_common(1):
            if number > 1:
                raise ValueError(f"split '{split}' has {number} images named {name}; rename them")


def refuse_own_images(folder: Path, images: Iterable[LabelledImage]) -> None:
    """Raise ValueError if images would be written over themselves, in ``folder``."""
    folder = folder.resolve()
    if any(folder in image.path.resolve().parents for image in images):
        raise ValueError(
            f"the images to convert lie in the output folder {folder}; choose another output"
        )


def build(
    root: Path,
    contents: dict[str, dict],
    splits: dict[str, list[LabelledImage]],
    link: bool = False,
    labels_only: bool = False,
) -> list[Path]:
    """Write images and annotation files of all splits under a new root.

    Args:
        root: Of the layout ``annotations/SPLIT.json``, ``images/SPLIT/``.
        contents: COCO dict of each split.
        splits: Images of each split.
        link: Hard links instead of copies.
        labels_only: Write no images.

    Returns:
        The parts, relative to ``root``: the images of each split as one folder, and its annotation
        file.

    Raises:
        OSError: If an image cannot be written or linked.
    """
    parts = []
    for split, content in contents.items():
        path = annotation_file(root, split)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        parts.append(annotation_file(Path(), split))
        if not labels_only:
            put_images(image_folder(root, split), splits[split], split, link)
            parts.append(image_folder(Path(), split))
    return parts


def put_images(folder: Path, images: list[LabelledImage], split: str, link: bool) -> None:
    """Copy or link images under their names in the output; frames of videos are written as PNG."""
    folder.mkdir(parents=True)
    for image in tqdm(images, desc=f"writing {split}", unit="img", disable=None):
        source, target = image.path.resolve(), folder / image.file_name
        target.parent.mkdir(parents=True, exist_ok=True)
        if image.pixels is not None:
            Image.fromarray(image.pixels()).save(target)
        elif not link:
            shutil.copyfile(source, target)
        else:
            try:
                os.link(source, target)
            except OSError as error:
                raise OSError(
                    f"cannot link {target} to {source} ({error.strerror}); links need one disk, "
                    "so copy the images"
                ) from error


@contextmanager
def staged(output: Path) -> Iterator[Path]:
    """Make a hidden folder inside the output to build in; it is removed in the end."""
    staging = output / STAGING
    restore(output)
    _clear(staging)
    (staging / _NEW).mkdir(parents=True)
    try:
        yield staging / _NEW
    finally:
        if not (staging / _JOURNAL).exists():
            _clear(staging)


def move_in(output: Path, parts: Sequence[Path]) -> None:
    """Move the finished parts from the hidden folder into the output, all of them or none.

    Args:
        output: Folder that :func:`staged` is for.
        parts: Relative paths of files, or of folders that are replaced as a whole; what describes
            the others first, which goes first and comes last.

    Raises:
        OSError: If one cannot be moved; the output is then as it was.
    """
    staging = output / STAGING
    write_text(staging / _JOURNAL, json.dumps([part.as_posix() for part in parts]))
    try:
        for part in parts:
            if (output / part).exists():
                _move(output / part, staging / _OLD / part)
        for part in reversed(parts):
            _move(staging / _NEW / part, output / part)
    except BaseException:
        restore(output)
        raise
    (staging / _JOURNAL).unlink()  # from here on the new parts count


def restore(output: Path) -> None:
    """Bring back what a run set aside that ended between two moves."""
    staging = output / STAGING
    if not (staging / _JOURNAL).is_file():
        return
    for part in json.loads((staging / _JOURNAL).read_text(encoding="utf-8")):
        if not (staging / _NEW / part).exists() and (output / part).exists():  # it had moved in
            _move(output / part, staging / _NEW / part)
        if (staging / _OLD / part).exists():
            _move(staging / _OLD / part, output / part)
    (staging / _JOURNAL).unlink()
    _clear(staging)


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)


def _clear(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder)
