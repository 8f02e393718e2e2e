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
from pathlib import Path

from tqdm import tqdm

from equikpt.data_tools.convert.records import LabelledImage

STAGING = ".converting"


def annotation_file(root: Path, split: str) -> Path:
    """Where the layout has the labels of a split."""
    return root / "annotations" / f"{split}.json"


def image_folder(root: Path, split: str) -> Path:
    """Where the layout has the pictures of a split."""
    return root / "images" / split


def refuse_collisions(output: Path, splits: dict[str, list[LabelledImage]], force: bool) -> None:
    """Stop before anything is overwritten that was not meant to be.

    Raises:
        FileExistsError: If a split is there already and ``force`` is not set.
        ValueError: If the output holds the pictures to convert, or two of a split share a name.
    """
    for split, images in splits.items():
        target = image_folder(output, split).resolve()
        for image in images:
            if target in image.path.resolve().parents:
                raise ValueError(
                    f"the pictures to convert lie in the output folder {target}; choose another "
                    "output"
                )
        names = Counter(image.path.name for image in images)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ValueError(
                f"split '{split}' has {names[twice[0]]} pictures named {twice[0]}; rename them"
            )
        for path in (annotation_file(output, split), image_folder(output, split)):
            if path.exists() and not force:
                raise FileExistsError(
                    f"{path} exists; choose another output or replace it with --force"
                )


def write(
    output: Path,
    contents: dict[str, dict],
    splits: dict[str, list[LabelledImage]],
    check: Callable[[Path], None],
    link: bool = False,
) -> None:
    """Write pictures and annotation files of all splits.

    Args:
        output: Root of the layout ``annotations/SPLIT.json``, ``images/SPLIT/``.
        contents: COCO dict of each split.
        splits: Pictures of each split.
        check: Called with the root of the finished copy before it takes its place; it raises if
            the copy is wrong, and the output is then left as it was.
        link: Hard links instead of copies: no disk space, but an edit changes both.

    Raises:
        OSError: If a picture cannot be written or linked.
    """
    staging = output / STAGING
    _clear(staging)
    try:
        for split, content in contents.items():
            _place_images(image_folder(staging, split), splits[split], split, link)
            path = annotation_file(staging, split)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        check(staging)
        for split in contents:
            annotation_file(output, split).unlink(missing_ok=True)
            _clear(image_folder(output, split))
            image_folder(output, split).parent.mkdir(parents=True, exist_ok=True)
            os.replace(image_folder(staging, split), image_folder(output, split))
        for split in contents:
            annotation_file(output, split).parent.mkdir(parents=True, exist_ok=True)
            os.replace(annotation_file(staging, split), annotation_file(output, split))
    finally:
        _clear(staging)


def _place_images(folder: Path, images: list[LabelledImage], split: str, link: bool) -> None:
    folder.mkdir(parents=True)
    for image in tqdm(images, desc=f"writing {split}", unit="img", disable=None):
        source, target = image.path.resolve(), folder / image.path.name
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


def _clear(folder: Path) -> None:
    """Remove a folder that this module made, and one that an interrupted run left."""
    if folder.is_dir():
        shutil.rmtree(folder)
