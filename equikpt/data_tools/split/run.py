"""The way from one annotation file to those of its parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from equikpt.core.coco.checks import load_valid_rows
from equikpt.core.coco.file import load_coco
from equikpt.core.groups import GroupRule
from equikpt.core.issues import format_examples
from equikpt.data_tools.convert import writer
from equikpt.data_tools.convert.records import SPLITS, LabelledImage, safe_name
from equikpt.data_tools.near_duplicates import NearPair, near_pairs, read_fingerprints
from equikpt.data_tools.split.assignment import balance, deal, shuffled
from equikpt.data_tools.split.counts import ImageCounts, count_images
from equikpt.data_tools.split.division import Division
from equikpt.data_tools.split.report import part_table
from equikpt.data_tools.split.units import Units, make_units
from equikpt.data_tools.verify.scheme import find_scheme


@dataclass(frozen=True)
class SplitOptions:
    """Choices of a division.

    Args:
        division: Into which parts.
        rule: Which images belong together.
        img_dir: Folder of the images; without it they are not compared.
        near_duplicates: Keep images together that are nearly the same.
        allow_near_duplicates: Only warn where such images are parted.
        stratify: Balance labelled points, sizes and numbers of instances.
        seed: Of the order in which images, or groups, are dealt.
        images: ``"none"``, ``"link"`` (hard links) or ``"copy"``: what becomes of the images.
        force: Replace parts that are there.
    """

    division: Division = field(default_factory=lambda: Division(ratios=(0.8, 0.1, 0.1)))
    rule: GroupRule = field(default_factory=GroupRule)
    img_dir: Path | None = None
    near_duplicates: bool = False
    allow_near_duplicates: bool = False
    stratify: bool = False
    seed: int = 0
    images: str = "none"
    force: bool = False


def split(ann_file: Path, output: Path, options: SplitOptions) -> list[str]:
    """Divide a COCO keypoint file.

    Written are ``annotations/{train,val,test}.json`` under ``output``, or those of each fold under
    ``output/fold_N``, and where asked ``images/{train,val,test}/``. Which image goes where
    depends on names, labels and seed, not on the order of the file.

    Args:
        ann_file: To divide.
        output: Root of the layout.
        options: How.

    Returns:
        Lines for the user: notes and the table of parts.

    Raises:
        FileNotFoundError: The file or the folder of images is missing.
        FileExistsError: A part exists and ``force`` is not set.
        ValueError: Options or labels are wrong, or images that are nearly the same would be
            parted.
    """
    _refuse_contradictions(options)
    content = load_valid_rows(ann_file)
    names = options.division.names()
    writer.restore(output)
    _refuse_leftovers(output, names)
    images = content["images"]
    pairs, notes = _compare(images, options.img_dir)
    units = make_units(images, options.rule, pairs if options.near_duplicates else ())
    if len(units.names) < len(names):
        raise ValueError(
            f"{len(units.names)} groups do not fill {len(names)} parts; make fewer parts or "
            "smaller groups"
        )
    scheme = find_scheme(None, [content])
    counts = count_images(images, content["annotations"], len(scheme.names))
    parts = _deal(units, counts, options)[units.of_image]
    notes += _parted(pairs, parts, images, names, options.allow_near_duplicates)
    written = _write(content, parts, output, options)
    table = part_table(counts, units, parts, names, scheme.names)
    return [table, *(f"note: {note}" for note in notes), *written]


def _deal(units: Units, counts: ImageCounts, options: SplitOptions) -> np.ndarray:
    """(U,) part of each unit."""
    images = np.ones_like(counts.instances)
    targets = options.division.targets(len(images))
    order = shuffled(units.names, options.seed)
    sizes = units.sums(images)
    parts = deal(sizes[:, 0], targets, order)
    if not options.stratify:
        return parts
    features = [sizes, *(units.sums(family) for family in counts.features())]
    return balance(parts, features, targets, order, options.seed)


def _refuse_contradictions(options: SplitOptions) -> None:
    if options.img_dir is None and (options.near_duplicates or options.images != "none"):
        raise ValueError("say with --img-dir where the images are")
    if options.img_dir is not None and not options.img_dir.is_dir():
        raise FileNotFoundError(f"no folder {options.img_dir}; give that of the images")
    if options.division.folds and options.images != "none":
        raise ValueError(
            "folds share their images: leave out --link and --copy, and give the folder of the "
            "images to each fold's config"
        )


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
    """Pairs of images, by their places in the file, that are nearly the same; and notes."""
    if img_dir is None:
        return [], [
            "images were not compared: with --img-dir, near-duplicates in two parts are found"
        ]
    paths = [img_dir / image["file_name"] for image in images]
    there = [index for index, path in enumerate(paths) if path.is_file()]
    if not there:
        raise FileNotFoundError(f"expected the images in {img_dir}, such as {paths[0]}; got none")
    notes = []
    if len(there) < len(paths):
        gone = [str(image["file_name"]) for image, path in zip(images, paths, strict=True)
                if not path.is_file()]  # fmt: skip
        notes.append(
            f"{len(gone)} of {len(paths)} images are missing on disk ({format_examples(gone)})"
        )
    found = near_pairs(read_fingerprints(paths[index] for index in there))
    pairs = [
        NearPair(there[pair.first], there[pair.second], pair.likeness, pair.bits, pair.mirrored)
        for pair in found
    ]
    return pairs, notes


def _parted(
    pairs: Sequence[NearPair],
    parts: np.ndarray,
    images: Sequence[dict],
    names: Sequence[str],
    allowed: bool,
) -> list[str]:
    """Say that near-duplicates are in different parts."""
    apart = [pair for pair in pairs if parts[pair.first] != parts[pair.second]]
    if not apart:
        return [f"pairs of images that are nearly the same: {len(pairs)}, none parted"]
    told = format_examples(
        [
            " and ".join(
                f"{images[index]['file_name']} in {names[parts[index]]}"
                for index in (pair.first, pair.second)
            )
            for pair in apart
        ]
    )
    sentence = f"images that are nearly the same would be parted ({told})"
    if not allowed:
        raise ValueError(
            f"{sentence}; keep them together with --near-duplicates, or go on with "
            "--allow-near-duplicates"
        )
    return [sentence.replace("would be", "are")]


def _write(content: dict, parts: np.ndarray, output: Path, options: SplitOptions) -> list[str]:
    """Write all parts; which files were written."""
    jobs = []
    for root, chosen in _layout(parts, output, options.division).items():
        contents = {name: _part(content, mask) for name, mask in chosen.items()}
        bare = [name for name, part in contents.items() if not part["annotations"]]
        if bare:
            raise ValueError(
                f"{', '.join(bare)} would have images without a single annotation; make the part "
                "larger, or balance parts with --stratify"
            )
        images = {name: _images(part["images"], options) for name, part in contents.items()}
        jobs.append((root, contents, images))
    labels_only = options.images == "none"
    for root, _, images in jobs:
        writer.refuse_collisions(root, images, options.force, labels_only)
    with writer.staged(output) as staging:
        made: list[Path] = []
        for root, contents, images in jobs:
            place, link = root.relative_to(output), options.images == "link"
            built = writer.build(staging / place, contents, images, link, labels_only)
            _check_parts(staging / place, tuple(contents), content)
            made += [place / part for part in built]
        writer.take_places(output, made)
    return [
        f"written: {writer.annotation_file(root, name)}"
        for root, contents, _ in jobs
        for name in contents
    ]


def _layout(
    parts: np.ndarray, output: Path, division: Division
) -> dict[Path, dict[str, np.ndarray]]:
    """Roots of the layout, and of each its parts with the (N,) images that are in them."""
    numbered = list(enumerate(division.names()))
    if division.folds is None:
        return {output: {name: parts == number for number, name in numbered}}
    return {
        output / name: {"train": parts != number, "val": parts == number}
        for number, name in numbered
    }


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
            raise ValueError(
                f"{name} is no path below {options.img_dir}; leave out --link and --copy"
            )
    files = [
        LabelledImage(options.img_dir / image["file_name"], 0, 0, name=image["file_name"])
        for image in images
    ]
    return [file for file in files if file.exists]


def _check_parts(root: Path, names: Sequence[str], source: dict) -> None:
    """Read back what was written: every image and annotation is in exactly one part.

    Raises:
        ValueError: One is missing, or in two parts.
    """
    written = [load_coco(writer.annotation_file(root, name)) for name in names]
    for part in ("images", "annotations"):
        found = Counter(row["id"] for content in written for row in content[part])
        if found != Counter(row["id"] for row in source[part]):
            raise ValueError(f"the {part} under {root} are not those of the source, each once")
