"""The way from labels or predictions to the files of a labelling tool."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from equikpt.data_tools.convert import FORMATS, Format, writable, writer
from equikpt.data_tools.convert.images import (
    drop_missing,
    refuse_unknown_sizes,
    with_instances,
)
from equikpt.data_tools.convert.mapping import map_keypoints
from equikpt.data_tools.convert.naming import mapping_lines, settle_scheme
from equikpt.data_tools.convert.reading import Reading, find_function, read_source
from equikpt.data_tools.convert.records import Instance, LabelledImage, SourceDataset
from equikpt.data_tools.convert.schemes import NO_SCHEME, KeypointScheme, find_scheme
from equikpt.data_tools.convert.targets import find_target, with_source_names

TOLERANCE_PX = 0.02
"""By how much a coordinate may have moved when it is read back."""


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
    force: bool = False,
) -> list[str]:
    """Write labels or predictions in a format of :data:`~equikpt.data_tools.convert.FORMATS`.

    Args:
        format_name: Format of the source.
        source: Folder or file to read.
        output: Folder to write into.
        to: Format to write.
        mapping: Names to give to the keypoints, as a scheme or the path of its YAML file; without
            it they keep their own.
        reading: How to read the source.
        options: How to write.
        dry_run: Read and report, write nothing.
        force: Replace files that exist in ``output``.

    Returns:
        Lines for the user: what is lost, the notes, the counts.

    Raises:
        FileExistsError: If a file exists in ``output`` and ``force`` is not set.
        FileNotFoundError: If the source or a part of it is missing.
        ValueError: If names, labels or images are wrong, or the output does not read back.
    """
    if to not in writable():
        raise ValueError(f"no format '{to}' to write; expected one of {', '.join(writable())}")
    options = _settled(options or writer.Options(), to)
    row, given = FORMATS[to], find_scheme(mapping) if mapping else NO_SCHEME
    own = find_target("coco")
    dataset = read_source(format_name, source, given, reading or Reading())
    scheme = settle_scheme(given, dataset.keypoints, own)
    if row.owns:
        drop_missing(dataset)
    refuse_unknown_sizes(dataset)
    target = with_source_names(own, tuple(scheme.mapping.values()))
    _drop_crowds(dataset)
    lost = _lost(dataset, row)
    mapped, notes = map_keypoints(dataset, scheme, target, boxes=row.boxes)
    if not dry_run:
        mapped = _write(output, mapped, row, options, force)
    return [
        *mapping_lines(scheme, target),
        *(f"note: {note}" for note in (*mapped.notes, *notes)),
        *([f"lost in {to}: {', '.join(lost)}"] if lost else []),
        *_count_lines(mapped),
        f"nothing written (dry run); it would go to {output}" if dry_run else f"written: {output}",
    ]


def _settled(options: writer.Options, to: str) -> writer.Options:
    """The options with the defaults of the format.

    Raises:
        ValueError: If one is given that the format has no use for.
    """
    row = FORMATS[to]
    if options.link and not row.owns:
        raise ValueError(f"--link does not go with {to}, which is written without images")
    if options.image_prefix is not None and not row.prefix:
        raise ValueError(f"--image-prefix does not go with {to}, which names images alone")
    prefix = row.prefix if options.image_prefix is None else options.image_prefix
    return replace(options, image_prefix=prefix)


def _write(
    output: Path, dataset: SourceDataset, row: Format, options: writer.Options, force: bool
) -> SourceDataset:
    """Write and check in a hidden folder, then take all places at once; the dataset as written."""
    writer.restore(output)
    for name in row.owns:
        writer.refuse_own_images(output / name, list(dataset.images()))
    owned = [Path(name) for name in row.owns]
    writer.refuse_existing(output, owned, force)
    with writer.staged(output) as staging:
        written = find_function(row.write)(staging, dataset, options)
        _check(staging, written, row)
        paths = [path.relative_to(staging) for path in staging.rglob("*") if path.is_file()]
        parts = [*(path for path in paths if path.parts[0] not in row.owns), *owned]
        writer.refuse_existing(output, parts, force)
        writer.take_places(output, parts)
    return written


def _check(folder: Path, written: SourceDataset, row: Format) -> None:
    """Read back what was written, with the format's own reader.

    Raises:
        ValueError: If an image, an animal or a point is not as it was.
    """
    scored = any(item.scores is not None for image in written.images() for item in image.instances)
    reader = find_function(row.read_scored if scored and row.read_scored else row.read)
    read = reader(folder, KeypointScheme(written.keypoints, {}))
    before, after = _by_name(written), _by_name(read)
    if before.keys() != after.keys():
        lost = sorted(before.keys() ^ after.keys())[0]
        raise ValueError(f"the image {lost[1]} does not read back from {folder}")
    for key, images in before.items():
        if len(images) != len(after[key]) or not all(
            _same(image, again, row) for image, again in zip(images, after[key], strict=True)
        ):
            raise ValueError(f"the labels of {key[1]} do not read back as they were")


def _by_name(dataset: SourceDataset) -> dict[tuple[str, str], list[LabelledImage]]:
    by_name = defaultdict(list)
    for split, images in dataset.splits.items():
        for image in images:
            by_name[split, image.file_name].append(image)
    return by_name


def _same(image: LabelledImage, again: LabelledImage, row: Format) -> bool:
    return len(image.instances) == len(again.instances) and all(
        _same_instance(before, after, row)
        for before, after in zip(image.instances, again.instances, strict=True)
    )


def _same_instance(before: Instance, after: Instance, row: Format) -> bool:
    """Compare two instances in what the format keeps."""
    visibility = [
        points.keypoints[:, 2] if row.hidden else points.keypoints[:, 2] > 0
        for points in (before, after)
    ]
    labelled = before.keypoints[:, 2] > 0
    moved = np.abs(before.keypoints - after.keypoints)[labelled, :2]
    boxes_moved = np.abs(np.subtract(before.box_px or 0, after.box_px or 0)) if row.boxes else 0
    return bool(
        (visibility[0] == visibility[1]).all()
        and (moved <= TOLERANCE_PX).all()
        and np.all(boxes_moved <= TOLERANCE_PX)
    )


def _drop_crowds(dataset: SourceDataset) -> None:
    """Leave crowds out: in other formats they would be animals."""
    crowds = sum(item.crowd for image in dataset.images() for item in image.instances)
    if crowds:
        dataset.notes.append(f"{crowds} crowds left out")
    for split, images in dataset.splits.items():
        dataset.splits[split] = [
            with_instances(image, (item for item in image.instances if not item.crowd))
            for image in images
        ]


def _lost(dataset: SourceDataset, row: Format) -> list[str]:
    """List what the dataset has and the format has no place for."""
    instances = [item for image in dataset.images() for item in image.instances]
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


def _count_lines(dataset: SourceDataset) -> list[str]:
    lines = []
    for split, images in dataset.splits.items():
        instances = [item for image in images for item in image.instances]
        points = sum(len(item.labelled) for item in instances)
        lines.append(
            f"{split or 'all'}: {len(images)} images, {len(instances)} animals, {points} points"
        )
    return lines
