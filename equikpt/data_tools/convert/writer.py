"""Writing a converted dataset so that half of one is never taken for a whole.

Everything is built in a hidden folder inside the output and checked there. Then the pictures move
into place and the annotation files last: a split without its JSON is unfinished, one with it whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from equikpt.data_tools.convert.records import LabelledImage

STAGING = ".converting"


@dataclass(frozen=True)
class Options:
    """How the writer of a format writes.

    Args:
        link: Hard links instead of copies: no disk space, but an edit changes both.
        image_prefix: What a labelling tool puts before a picture's name to find it; None for the
            format's own.
    """

    link: bool = False
    image_prefix: str | None = None


def annotation_file(root: Path, split: str) -> Path:
    """Where the layout has the labels of a split."""
    return root / "annotations" / f"{split}.json"


def image_folder(root: Path, split: str) -> Path:
    """Where the layout has the pictures of a split."""
    return root / "images" / split


def refuse_collisions(
    output: Path, splits: dict[str, list[LabelledImage]], force: bool, labels_only: bool = False
) -> None:
    """Stop before anything is overwritten that was not meant to be.

    Raises:
        FileExistsError: If a split is there already and ``force`` is not set.
        ValueError: If the output holds the pictures to convert, or two of a split share a name.
    """
    refuse_repeated_names(splits)
    for split, images in splits.items():
        written = [annotation_file(output, split)]
        if not labels_only:
            refuse_own_pictures(image_folder(output, split), images)
            written.append(image_folder(output, split))
        for path in written:
            if path.exists() and not force:
                raise FileExistsError(
                    f"{path} exists; choose another output or replace it with --force"
                )


def refuse_repeated_names(splits: dict[str, list[LabelledImage]]) -> None:
    """Stop where two pictures of a split would be one file.

    Raises:
        ValueError: If two share a name.
    """
    for split, images in splits.items():
        names = Counter(image.file_name for image in images)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ValueError(
                f"split '{split}' has {names[twice[0]]} pictures named {twice[0]}; rename them"
            )


def refuse_own_pictures(folder: Path, images: list[LabelledImage]) -> None:
    """Stop before pictures are written over themselves.

    Raises:
        ValueError: If a picture to convert lies in ``folder``.
    """
    folder = folder.resolve()
    if any(folder in image.path.resolve().parents for image in images):
        raise ValueError(
            f"the pictures to convert lie in the output folder {folder}; choose another output"
        )


def write(
    output: Path,
    contents: dict[str, dict],
    splits: dict[str, list[LabelledImage]],
    check: Callable[[Path], None],
    link: bool = False,
    labels_only: bool = False,
) -> None:
    """Write pictures and annotation files of all splits.

    Args:
        output: Root of the layout ``annotations/SPLIT.json``, ``images/SPLIT/``.
        contents: COCO dict of each split.
        splits: Pictures of each split.
        check: Called with the root of the finished copy before it takes its place; it raises if
            the copy is wrong, and the output is then left as it was.
        link: Hard links instead of copies: no disk space, but an edit changes both.
        labels_only: Write no pictures, and leave those alone that are there.

    Raises:
        OSError: If a picture cannot be written or linked.
    """
    staging = output / STAGING
    clear(staging)
    try:
        for split, content in contents.items():
            if not labels_only:
                place_images(image_folder(staging, split), splits[split], split, link)
            path = annotation_file(staging, split)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        check(staging)
        for split in contents:
            annotation_file(output, split).unlink(missing_ok=True)
            if labels_only:
                continue
            clear(image_folder(output, split))
            image_folder(output, split).parent.mkdir(parents=True, exist_ok=True)
            os.replace(image_folder(staging, split), image_folder(output, split))
        for split in contents:
            annotation_file(output, split).parent.mkdir(parents=True, exist_ok=True)
            os.replace(annotation_file(staging, split), annotation_file(output, split))
    finally:
        clear(staging)


def place_images(folder: Path, images: list[LabelledImage], split: str, link: bool) -> None:
    """Copy or link pictures under their names in the output; frames of films are written as PNG.

    Raises:
        OSError: If a picture cannot be written or linked.
    """
    folder.mkdir(parents=True)
    for image in tqdm(images, desc=f"writing {split}", unit="img", disable=None):
        source, target = image.path.resolve(), folder / image.file_name
        target.parent.mkdir(parents=True, exist_ok=True)
        if image.pixels is not None:
            Image.fromarray(image.pixels()).save(target)
            continue
        if not link:
            shutil.copyfile(source, target)
            continue
        try:
            os.link(source, target)
        except OSError as error:
            raise OSError(
                f"cannot link {target} to {source} ({error.strerror}); links need one disk, so "
                "use --copy"
            ) from error


def clear(folder: Path) -> None:
    """Remove a folder that a conversion made, and one that an interrupted run left."""
    if folder.is_dir():
        shutil.rmtree(folder)
