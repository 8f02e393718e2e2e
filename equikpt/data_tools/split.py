"""Divide an annotation file into parts that have no image, horse or video in common."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from equikpt.core.coco.checks import load_valid_rows
from equikpt.core.coco.file import load_coco
from equikpt.core.groups import GroupRule
from equikpt.core.issues import format_examples
from equikpt.data_tools.convert import writer
from equikpt.data_tools.convert.names import safe_name
from equikpt.data_tools.convert.records import SPLITS, LabelledImage
from equikpt.data_tools.near_duplicates import NearPair, near_pairs, read_fingerprints
from equikpt.data_tools.split_assignment import (
    balance,
    count_images,
    deal,
    image_targets,
    make_units,
    part_table,
    shuffled,
)
from equikpt.data_tools.verify.scheme import find_scheme

REST = "rest"


@dataclass(frozen=True)
class Division:
    """Number of parts and their sizes, by one of the three.

    Args:
        ratios: Of two or three parts, train, val and test; their sum is 1.
        counts: Images of two or three parts; one may be ``"rest"``.
        folds: Number of parts of equal size, each once the val of a fold.

    Raises:
        ValueError: A number cannot be right.
    """

    ratios: tuple[float, ...] = ()
    counts: tuple[int | str, ...] = ()
    folds: int | None = None

    def __post_init__(self) -> None:
        if bool(self.ratios) + bool(self.counts) + (self.folds is not None) != 1:
            raise ValueError("expected ratios, counts or folds, one of them")
        if self.folds is not None and self.folds < 2:
            raise ValueError(f"expected two folds or more, got {self.folds}")
        parts = self.ratios or self.counts
        shown = " ".join(map(str, parts))
        if parts and len(parts) not in (2, 3):
            raise ValueError(
                f"expected two parts (train val) or three (train val test), got {len(parts)}"
            )
        if self.ratios and (min(self.ratios) <= 0 or abs(sum(self.ratios) - 1) > 1e-6):
            raise ValueError(
                f"expected ratios above 0 whose sum is 1, got {shown}, whose sum is "
                f"{sum(self.ratios):g}"
            )
        numbers = [count for count in self.counts if isinstance(count, int)]
        if len(self.counts) - len(numbers) > 1 or any(number < 1 for number in numbers):
            raise ValueError(f"expected counts above 0, one of which may be '{REST}', got {shown}")

    def names(self) -> tuple[str, ...]:
        """Name the parts; a fold's name is where its val goes."""
        if self.folds is not None:
            return tuple(f"fold_{number}" for number in range(self.folds))
        return SPLITS[: len(self.ratios or self.counts)]

    def targets(self, count: int) -> np.ndarray:
        """(P,) images of each part, of ``count`` images.

        Raises:
            ValueError: Counts do not add up to all images, or there are fewer than parts.
        """
        if count < len(self.names()):
            raise ValueError(f"{count} images do not fill {len(self.names())} parts")
        if not self.counts:
            return image_targets(count, self.ratios or [1] * len(self.names()))
        left = count - sum(number for number in self.counts if isinstance(number, int))
        if left < 0 or (left == 0) == (REST in self.counts):
            raise ValueError(
                f"counts {' '.join(map(str, self.counts))} do not divide the {count} images; write "
                f"'{REST}' for one of them"
            )
        return np.array([left if number == REST else number for number in self.counts], int)


@dataclass(frozen=True)
class SplitOptions:
    """Choices of a division.

    Args:
        division: Into which parts.
        rule: Names the images that belong together.
        img_dir: Folder of the images; without it they are not compared.
        near_duplicates: Keep images together that are nearly the same.
        allow_near_duplicates: Only warn where such images are parted.
        stratify: Balance labelled points, sizes and numbers of instances.
        seed: Of the order in which images, or groups, are dealt.
        images: ``"none"``, ``"link"`` (hard links) or ``"copy"``: what becomes of the images.
        overwrite: Replace parts that are there.
    """

    division: Division = field(default_factory=lambda: Division(ratios=(0.8, 0.1, 0.1)))
    rule: GroupRule = field(default_factory=GroupRule)
    img_dir: Path | None = None
    near_duplicates: bool = False
    allow_near_duplicates: bool = False
    stratify: bool = False
    seed: int = 0
    images: str = "none"
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.img_dir is None and (self.near_duplicates or self.images != "none"):
            raise ValueError("expected img_dir, the folder of the images; give it")
        if self.division.folds and self.images != "none":
            raise ValueError(
                "folds share their images: leave link and copy out, and give the folder of the "
                "images to each fold's config"
            )


def split(ann_file: Path, output: Path, options: SplitOptions) -> list[str]:
    """Divide a COCO keypoint file.

    Written are ``annotations/{train,val,test}.json`` under ``output``, or those of each fold under
    ``output/fold_N``, and where asked ``images/{train,val,test}/``. Where an image goes depends on
    names, labels and seed, not on the order of the file.

    Returns:
        Lines for the user: notes and the table of parts.

    Raises:
        FileNotFoundError: The file or the folder of images is missing.
        FileExistsError: A part exists and ``overwrite`` is not set.
        ValueError: Options or labels are wrong, or images that are nearly the same would be
            parted.
    """
    if options.img_dir is not None and not options.img_dir.is_dir():
        raise FileNotFoundError(f"no folder {options.img_dir}; give that of the images")
    content = load_valid_rows(ann_file)
    names = options.division.names()
    writer.restore(output)
    _refuse_leftovers(output, names)
    images = content["images"]
    pairs, notes = _compare(images, options.img_dir)
    units = make_units(images, options.rule, pairs if options.near_duplicates else ())
    if units.max() + 1 < len(names):
        raise ValueError(
            f"{units.max() + 1} groups do not fill {len(names)} parts; make fewer parts or "
            "smaller groups"
        )
    counts = count_images(images, content["annotations"], find_scheme(None, [content]).names)
    unit_names = pd.Series([image["file_name"] for image in images]).groupby(units).min()
    parts = _assign(counts.groupby(units).sum(), unit_names.tolist(), options)[units]
    notes.append(_note_parted(pairs, parts, images, options))
    written = _write(content, parts, output, options)
    return [part_table(counts, units, parts, names), *(f"note: {note}" for note in notes), *written]


def _assign(counts: pd.DataFrame, names: Sequence[str], options: SplitOptions) -> np.ndarray:
    """(U,) part of each unit, from its name, that of its alphabetically first image, and counts."""
    families = ("images", "instances", "points", "hidden", "sizes", "fractions")
    features = [np.ascontiguousarray(counts[family]) for family in families]
    targets = options.division.targets(features[0].sum())
    order = shuffled(names, options.seed)
    parts = deal(features[0][:, 0], targets, order)
    return balance(parts, features, targets, order, options.seed) if options.stratify else parts


def _refuse_leftovers(output: Path, names: Sequence[str]) -> None:
    """Stop where a part of another division would stay beside the new ones."""
    there = [
        *(name for name in SPLITS if writer.annotation_file(output, name).exists()),
        *(path.name for path in sorted(output.glob("fold_*"))),
    ]
    left = [name for name in there if name not in names]
    if left:
        raise FileExistsError(
            f"{output} has parts of another division ({', '.join(left)}), which would overlap with "
            "the new ones; remove them or choose another output"
        )


def _compare(images: Sequence[dict], img_dir: Path | None) -> tuple[list[NearPair], list[str]]:
    """Pairs of images, by their indices in the file, that are nearly the same; and notes."""
    if img_dir is None:
        note = "images were not compared: with img_dir, near-duplicates in two parts are found"
        return [], [note]
    paths = [img_dir / image["file_name"] for image in images]
    there = [index for index, path in enumerate(paths) if os.path.isfile(path)]
    if not there:
        raise FileNotFoundError(f"expected the images in {img_dir}, such as {paths[0]}; got none")
    gone = [images[index]["file_name"] for index in sorted({*range(len(paths))} - {*there})]
    found = near_pairs(read_fingerprints(paths[index] for index in there))
    pairs = [pair._replace(first=there[pair.first], second=there[pair.second]) for pair in found]
    shown = f"{len(gone)} of {len(paths)} images are missing on disk ({format_examples(gone)})"
    return pairs, [shown] if gone else []


def _note_parted(
    pairs: Sequence[NearPair], parts: np.ndarray, images: Sequence[dict], options: SplitOptions
) -> str:
    """Say that near-duplicates are in different parts, or stop there."""
    names = options.division.names()
    apart = [
        " and ".join(f"{images[i]['file_name']} in {names[parts[i]]}" for i in pair[:2])
        for pair in pairs
        if parts[pair.first] != parts[pair.second]
    ]
    if not apart:
        return f"pairs of images that are nearly the same: {len(pairs)}, none parted"
    if not options.allow_near_duplicates:
        raise ValueError(
            f"images that are nearly the same would be parted ({format_examples(apart)}); keep "
            "them together with near_duplicates, or go on with allow_near_duplicates"
        )
    return f"images that are nearly the same are parted ({format_examples(apart)})"


def _write(content: dict, parts: np.ndarray, output: Path, options: SplitOptions) -> list[str]:
    """Write all parts, together or not at all; lines that name the files."""
    masks = {name: parts == number for number, name in enumerate(options.division.names())}
    layout = {output: masks}
    if options.division.folds is not None:
        layout = {output / fold: dict(train=~mask, val=mask) for fold, mask in masks.items()}
    labels_only, link = options.images == "none", options.images == "link"
    jobs = []
    for root, chosen in layout.items():
        contents = {name: _part(content, mask) for name, mask in chosen.items()}
        bare = [name for name, part in contents.items() if not part["annotations"]]
        if bare:
            raise ValueError(
                f"{', '.join(bare)} would have images without a single annotation; make the part "
                "larger, or balance parts with stratify"
            )
        images = {name: _images(part["images"], options) for name, part in contents.items()}
        writer.refuse_collisions(root, images, options.overwrite, labels_only)
        jobs.append((root.relative_to(output), contents, images))
    with writer.staged(output) as staging:
        made: list[Path] = []
        for folder, contents, images in jobs:
            built = writer.build(staging / folder, contents, images, link, labels_only)
            _check_parts(staging / folder, tuple(contents), content)
            made += [folder / part for part in built]
        writer.move_in(output, made)
    return [
        f"written: {writer.annotation_file(output / folder, name)}"
        for folder, contents, _ in jobs
        for name in contents
    ]


def _part(content: dict, chosen: np.ndarray) -> dict:
    """The file with some of its images, everything else as it is."""
    images = [image for image, here in zip(content["images"], chosen, strict=True) if here]
    ids = {image["id"] for image in images}
    annotations = [row for row in content["annotations"] if row["image_id"] in ids]
    return {**content, "images": images, "annotations": annotations}


def _images(images: Sequence[dict], options: SplitOptions) -> list[LabelledImage]:
    """The images of a part that are there, for the writer; none where none are written."""
    if options.images == "none" or options.img_dir is None:
        return []
    for name in (image["file_name"] for image in images):
        if safe_name(name) != name:
            raise ValueError(f"{name} is no path below {options.img_dir}; leave link and copy out")
    files = [
        LabelledImage(options.img_dir / image["file_name"], 0, 0, name=image["file_name"])
        for image in images
    ]
    return [file for file in files if file.exists]


def _check_parts(root: Path, names: Sequence[str], source: dict) -> None:
    """Read back what was written: every image and annotation is in exactly one part."""
    written = [load_coco(writer.annotation_file(root, name)) for name in names]
    for part in ("images", "annotations"):
        found = Counter(row["id"] for content in written for row in content[part])
        if found != Counter(row["id"] for row in source[part]):
            raise ValueError(f"the {part} under {root} are not those of the source, each once")
