"""From any labels to checked COCO JSON to train on, and to the files of a labelling tool."""

from __future__ import annotations

import pkgutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from equikpt.core.coco.box_checks import check_boxes
from equikpt.core.coco.checks import check_coco, is_used
from equikpt.core.coco.file import load_coco
from equikpt.core.issues import format_issues, refuse_errors
from equikpt.data_tools.convert import FORMATS, Format, writable, writer
from equikpt.data_tools.convert.images import drop_missing, refuse_unknown_sizes
from equikpt.data_tools.convert.mapping import map_keypoints, to_coco
from equikpt.data_tools.convert.reading import Reading, read_source
from equikpt.data_tools.convert.records import Instance, SourceDataset
from equikpt.data_tools.convert.repeated_images import drop_repeated_sources
from equikpt.data_tools.convert.schemes import NO_SCHEME, KeypointScheme, find_scheme
from equikpt.data_tools.convert.targets import Target, complete, find_target, mapping_lines

TOLERANCE_PX = 0.02
"""By how much a coordinate may have moved when it is read back."""


class Outcome(NamedTuple):
    """Sentences on a conversion, for its user.

    Args:
        mapping: What became of each keypoint.
        notes: What was left out, filled in or guessed.
        counts: Images, animals and points of each split.
        end: Where it was written.
    """

    mapping: list[str]
    notes: list[str]
    counts: list[str]
    end: str

    @property
    def lines(self) -> list[str]:
        """All of them."""
        return [*self.mapping, *(f"note: {note}" for note in self.notes), *self.counts, self.end]


def convert(
    format_name: str,
    source: Path,
    output: Path,
    *,
    mapping: str | KeypointScheme | None = None,
    target_name: str = "horse26",
    reading: Reading | None = None,
    dry_run: bool = False,
    overwrite: bool = False,
    link: bool = False,
    labels_only: bool = False,
) -> Outcome:
    """Convert a labelled dataset to COCO JSON and check the result.

    Args:
        format_name: A format of :data:`~equikpt.data_tools.convert.FORMATS`.
        source: Folder or file to read.
        output: Root to write ``annotations/SPLIT.json`` and ``images/SPLIT/`` under.
        mapping: A keypoint scheme, the name of one or the path of its YAML file; without it the
            names of the source's keypoints decide.
        target_name: Dataset whose keypoints the output has.
        reading: How to read the source.
        dry_run: Read and report, write nothing.
        overwrite: Replace splits that exist in ``output``.
        link: Hard-link the images instead of copying them.
        labels_only: Write no images; they need not be there.

    Raises:
        FileExistsError: If a split exists in ``output`` and ``overwrite`` is not set.
        FileNotFoundError: If the source or a part of it is missing.
        ValueError: If names, labels or images are wrong.
    """
    target = find_target(target_name)
    given = find_scheme(mapping) if isinstance(mapping, str) else mapping or NO_SCHEME
    dataset = read_source(format_name, source, given, reading or Reading())
    scheme, target = complete(given, dataset.keypoints, target)
    classes = [name for name in dataset.categories() if name]
    if target.category and len(classes) > 1:
        raise ValueError(
            f"the source has the classes {', '.join(classes)}; say with classes which of them to "
            "convert"
        )
    splits = [split for split, images in dataset.splits.items() if images]
    if not labels_only:
        drop_missing(dataset)
    refuse_unknown_sizes(dataset)
    drop_repeated_sources(dataset)
    contents, notes = to_coco(dataset, scheme, target)
    for split in splits:
        content = contents.get(split, {"images": [], "annotations": []})
        if not content["annotations"]:
            reasons = " - ".join([*dataset.notes, *notes])
            raise ValueError(
                f"split '{split}' has {len(content['images'])} images left and no animal on them"
                f"{reasons and f' ({reasons})'}; label some, or give the other splits alone"
            )
    for split, content in contents.items():
        notes += [f"{split}: {line}" for line in format_issues(check_boxes(content))]
    if not dry_run:
        writer.refuse_collisions(output, dataset.splits, overwrite, labels_only)
        with writer.staged(output) as staging:
            parts = writer.build(staging, contents, dataset.splits, link, labels_only)
            check_output(staging, contents, target, labels_only)
            writer.move_in(output, parts)
    counts = [_counts(split, content) for split, content in contents.items()]
    end = _end(output, dry_run)
    return Outcome(mapping_lines(scheme, target), [*dataset.notes, *notes], counts, end)


def export(
    format_name: str,
    source: Path,
    output: Path,
    to: str,
    *,
    mapping: str | None = None,
    reading: Reading | None = None,
    options: writer.Options | None = None,
    dry_run: bool = False,
    overwrite: bool = False,
) -> Outcome:
    """Write labels or predictions in a format of :data:`~equikpt.data_tools.convert.FORMATS`.

    Arguments, lines and errors that are not listed are those of :func:`convert`.

    Args:
        format_name: Format of the source.
        source: Folder or file to read.
        output: Folder to write into.
        to: Format to write.
        mapping: Names to give to the keypoints; without it they keep their own.
        reading: How to read the source.
        options: How to write.
        dry_run: Read and report, write nothing.
        overwrite: Replace files that exist in ``output``.

    Raises:
        ValueError: If the output does not read back, too.
    """
    if to not in writable():
        raise ValueError(f"no format '{to}' to write; expected one of {', '.join(writable())}")
    row, options = FORMATS[to], options or writer.Options()
    if options.link and not row.owns:
        raise ValueError(f"link does not go with {to}, which is written without images")
    if options.image_prefix is not None and not row.prefix:
        raise ValueError(f"image_prefix does not go with {to}, which names images alone")
    if options.image_prefix is None:
        options = replace(options, image_prefix=row.prefix)
    given = find_scheme(mapping) if mapping else NO_SCHEME
    dataset = read_source(format_name, source, given, reading or Reading())
    scheme, target = complete(given, dataset.keypoints, find_target("coco"))
    if row.owns:
        drop_missing(dataset)
    refuse_unknown_sizes(dataset)
    dataset.keep(lambda item: not item.crowd, "crowds")  # they would be animals
    lost = _lost(dataset, row)
    mapped, notes = map_keypoints(dataset, scheme, target, boxes=row.boxes)
    if not dry_run:
        mapped = _write(output, mapped, row, options, overwrite)
    counts = [f"lost in {to}: {', '.join(lost)}"] if lost else []
    for split, images in mapped.splits.items():
        own = SourceDataset({split: images}).instances()
        points = sum(len(item.labelled) for item in own)
        counts.append(
            f"{split or 'all'}: {len(images)} images, {len(own)} animals, {points} points"
        )
    end = _end(output, dry_run)
    return Outcome(mapping_lines(scheme, target), [*mapped.notes, *notes], counts, end)


def _end(output: Path, dry_run: bool) -> str:
    return (
        f"nothing written (dry run); it would go to {output}" if dry_run else f"written: {output}"
    )


def check_output(
    root: Path, contents: dict[str, dict], target: Target, labels_only: bool = False
) -> None:
    """Read back what was written and load it with the dataset that will train on it.

    Raises:
        ValueError: If a count, an image or a label is not as it should be.
    """
    for split, content in contents.items():
        path, folder = writer.annotation_file(root, split), writer.image_folder(root, split)
        written = load_coco(path)
        if written != content:
            raise ValueError(f"{path} does not read back as it was written; is the disk full?")
        issues = check_coco(written, target.names)
        if issues and not labels_only:  # warnings too: a converter has no reason to leave them
            issues = [replace(issue, severity="error") for issue in issues]
        refuse_errors(issues, f"split '{split}' would be wrong")
        refuse_errors(check_boxes(written), f"split '{split}' would be wrong")
        if labels_only:
            continue
        names = {row["file_name"] for row in written["images"]}
        files = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
        if names != files:
            raise ValueError(
                f"split '{split}' lists {len(names)} images and has {len(files)}, not the same; "
                "is something else writing there?"
            )
        if target.dataset:
            _check_training(path, folder, written, target)


def _check_training(path: Path, folder: Path, written: dict, target: Target) -> None:
    dataset = pkgutil.resolve_name(f"equikpt.datasets:{target.dataset}")(
        ann_file=str(path), data_prefix={"img": str(folder)}, max_missing_share=0.0
    )
    usable = sum(map(is_used, written["annotations"]))
    if len(dataset) != usable:
        raise ValueError(
            f"split '{path.stem}' has {usable} labelled animals, and the dataset takes "
            f"{len(dataset)} of them"
        )


def _counts(split: str, content: dict) -> str:
    rows = content["annotations"]
    visibility = np.array([row["keypoints"][2::3] for row in rows], dtype=int)
    bare = sum(row["num_keypoints"] == 0 for row in rows)
    return (
        f"{split}: {len(content['images'])} images, {len(rows)} animals, "
        f"{(visibility == 2).sum()} points seen, {(visibility == 1).sum()} hidden"
        + (f", {bare} animals without a point" if bare else "")
    )


def _lost(dataset: SourceDataset, row: Format) -> list[str]:
    """List what the dataset has and the format cannot hold."""
    instances = dataset.instances()
    has = {
        "hidden points (written as seen)": (
            not row.hidden and any((item.keypoints[:, 2] == 1).any() for item in instances)
        ),
        "boxes": not row.boxes and any(item.box_px is not None for item in instances),
        "splits": not row.splits and len(dataset.splits) > 1,
        "scores": not row.scores and any(item.score is not None for item in instances),
        "outlines": any(item.outline is not None for item in instances),
    }
    return [name for name, is_lost in has.items() if is_lost]


def _write(
    output: Path, dataset: SourceDataset, row: Format, options: writer.Options, overwrite: bool
) -> SourceDataset:
    """Write and check in a hidden folder, then move all parts in; the dataset as written."""
    writer.restore(output)
    for name in row.owns:
        writer.refuse_own_images(output / name, dataset.images())
    owned = [Path(name) for name in row.owns]
    writer.refuse_existing(output, owned, overwrite)
    with writer.staged(output) as staging:
        written = pkgutil.resolve_name(row.write)(staging, dataset, options)
        _check_read_back(staging, written, row)
        paths = [path.relative_to(staging) for path in staging.rglob("*") if path.is_file()]
        parts = [*(path for path in paths if path.parts[0] not in row.owns), *owned]
        writer.refuse_existing(output, parts, overwrite)
        writer.move_in(output, parts)
    return written


def _check_read_back(folder: Path, written: SourceDataset, row: Format) -> None:
    """Raise ValueError if the format's own reader reads another image, animal or point."""
    scored = any(item.scores is not None for item in written.instances())
    reader = pkgutil.resolve_name(row.read_scored if scored and row.read_scored else row.read)
    read = reader(folder, KeypointScheme(written.keypoints, {}))
    before, after = _by_name(written), _by_name(read)
    if before.keys() != after.keys():
        lost = sorted(before.keys() ^ after.keys())[0]
        raise ValueError(f"the image {lost[1]} does not read back from {folder}")
    for key, instances in before.items():
        if len(instances) != len(after[key]) or not all(
            item is again or (item and again and _is_same(item, again, row))
            for item, again in zip(instances, after[key], strict=True)
        ):
            raise ValueError(f"the labels of {key[1]} do not read back as they were")


def _by_name(dataset: SourceDataset) -> dict[tuple[str, str], list[Instance | None]]:
    """The animals of each image, None between images of one name."""
    by_name: dict[tuple[str, str], list[Instance | None]] = defaultdict(list)
    for split, images in dataset.splits.items():
        for image in images:
            by_name[split, image.file_name] += [*image.instances, None]
    return by_name


def _is_same(before: Instance, after: Instance, row: Format) -> bool:
    """Compare two instances in what the format keeps."""
    seen = [item.keypoints[:, 2] for item in (before, after)]
    if not row.hidden:
        seen = [np.minimum(visibility, 1) for visibility in seen]
    moved = np.abs(before.keypoints - after.keypoints)[seen[0] > 0, :2]
    boxes_moved = np.abs(np.subtract(before.box_px or 0, after.box_px or 0)) if row.boxes else 0
    return bool(
        (seen[0] == seen[1]).all()
        and (moved <= TOLERANCE_PX).all()
        and np.all(boxes_moved <= TOLERANCE_PX)
    )
