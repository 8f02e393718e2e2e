"""The way from labels in a foreign format to checked COCO JSON in the users' layout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from equikpt.core.coco.box_checks import check_boxes
from equikpt.core.coco.checks import check_coco, is_used
from equikpt.core.coco.file import load_coco
from equikpt.core.issues import format_issues, refuse_errors
from equikpt.data_tools.convert import writer
from equikpt.data_tools.convert.coco import to_coco
from equikpt.data_tools.convert.images import drop_missing, refuse_unknown_sizes
from equikpt.data_tools.convert.naming import mapping_lines, settle_scheme
from equikpt.data_tools.convert.reading import Reading, read_source, refuse_mixed_classes
from equikpt.data_tools.convert.repeated_images import drop_repeated_sources
from equikpt.data_tools.convert.schemes import NO_SCHEME, find_scheme
from equikpt.data_tools.convert.targets import Target, find_target, with_source_names


def convert(
    format_name: str,
    source: Path,
    output: Path,
    *,
    mapping: str | None = None,
    target_name: str = "horse26",
    reading: Reading | None = None,
    dry_run: bool = False,
    force: bool = False,
    link: bool = False,
    labels_only: bool = False,
) -> list[str]:
    """Convert a labelled dataset to COCO JSON and check the result.

    Args:
        format_name: A format of :data:`~equikpt.data_tools.convert.FORMATS`.
        source: Folder or file to read.
        output: Root to write ``annotations/SPLIT.json`` and ``images/SPLIT/`` under.
        mapping: Name of a keypoint scheme or path of its YAML file; without it the names of the
            source's keypoints decide.
        target_name: Dataset whose keypoints the output has.
        reading: How to read the source.
        dry_run: Read and report, write nothing.
        force: Replace splits that exist in ``output``.
        link: Hard-link the images instead of copying them.
        labels_only: Write no images; they need not be there.

    Returns:
        Lines for the user: the mapping, the notes, the counts.

    Raises:
        FileExistsError: If a split exists in ``output`` and ``force`` is not set.
        FileNotFoundError: If the source or a part of it is missing.
        ValueError: If names, labels or images are wrong.
    """
    target, given = find_target(target_name), find_scheme(mapping) if mapping else NO_SCHEME
    dataset = read_source(format_name, source, given, reading or Reading())
    scheme = settle_scheme(given, dataset.keypoints, target)
    target = with_source_names(target, tuple(scheme.mapping.values()))
    if target.category:
        refuse_mixed_classes(dataset)
    splits = [split for split, images in dataset.splits.items() if images]
    if not labels_only:
        drop_missing(dataset, advice=", or take the labels alone with --labels-only")
    refuse_unknown_sizes(dataset)
    drop_repeated_sources(dataset)
    contents, notes = to_coco(dataset, scheme, target)
    _refuse_empty(contents, splits, [*dataset.notes, *notes])
    for split, content in contents.items():
        notes += [f"{split}: {line}" for line in format_issues(check_boxes(content))]
    if not dry_run:
        writer.refuse_collisions(output, dataset.splits, force, labels_only)
        writer.write(
            output,
            contents,
            dataset.splits,
            check=lambda root: check_output(root, contents, target, labels_only),
            link=link,
            labels_only=labels_only,
        )
    return [
        *mapping_lines(scheme, target),
        *(f"note: {note}" for note in (*dataset.notes, *notes)),
        *_count_lines(contents),
        f"nothing written (dry run); it would go to {output}" if dry_run else f"written: {output}",
    ]


def _refuse_empty(contents: dict[str, dict], splits: list[str], notes: list[str]) -> None:
    """Stop where a split of the source would not be written, or without an animal."""
    for split in splits:
        content = contents.get(split, {"images": [], "annotations": []})
        if not content["annotations"]:
            told = f" ({' - '.join(notes)})" if notes else ""
            raise ValueError(
                f"split '{split}' has {len(content['images'])} images left and no animal on them"
                f"{told}; label some, or give the other splits alone"
            )


def check_output(
    root: Path, contents: dict[str, dict], target: Target, labels_only: bool = False
) -> None:
    """Read back what was written and load it with the dataset that will train on it.

    Raises:
        ValueError: If a count, an image or a label is not as it should be.
    """
    for split, content in contents.items():
        path = writer.annotation_file(root, split)
        written = load_coco(path)
        if written != content:
            raise ValueError(f"{path} does not read back as it was written; is the disk full?")
        issues = check_coco(written, target.names)
        if issues and not labels_only:  # warnings too: a converter has no reason to leave them
            issues = [replace(issue, severity="error") for issue in issues]
        refuse_errors(issues, f"split '{split}' would be wrong")
        refuse_errors(check_boxes(written), f"split '{split}' would be wrong")
        if not labels_only:
            _check_images(root, split, written)
            if target.dataset:
                _check_training(root, split, written, target)


def _check_images(root: Path, split: str, written: dict) -> None:
    folder = writer.image_folder(root, split)
    names = {row["file_name"] for row in written["images"]}
    files = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    if names != files:
        raise ValueError(
            f"split '{split}' lists {len(names)} images and has {len(files)}, not the same; "
            "is something else writing there?"
        )


def _check_training(root: Path, split: str, written: dict, target: Target) -> None:
    dataset = target.dataset_class()(
        ann_file=str(writer.annotation_file(root, split)),
        data_prefix={"img": str(writer.image_folder(root, split))},
        max_missing_share=0.0,
    )
    usable = sum(map(is_used, written["annotations"]))
    if len(dataset) != usable:
        raise ValueError(
            f"split '{split}' has {usable} labelled animals, and the dataset takes "
            f"{len(dataset)} of them"
        )


def _count_lines(contents: dict[str, dict]) -> list[str]:
    lines = []
    for split, content in contents.items():
        rows = content["annotations"]
        visibility = np.array([row["keypoints"][2::3] for row in rows], dtype=int)
        bare = sum(row["num_keypoints"] == 0 for row in rows)
        lines.append(
            f"{split}: {len(content['images'])} images, {len(rows)} animals, "
            f"{(visibility == 2).sum()} points seen, {(visibility == 1).sum()} hidden"
            + (f", {bare} animals without a point" if bare else "")
        )
    return lines
