"""The way from a folder in a foreign format to checked COCO JSON in the users' layout."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np

from equikpt.data_tools.convert import FORMATS, writer
from equikpt.data_tools.convert.coco import drop_repeated_sources, to_coco
from equikpt.data_tools.convert.records import SPLITS, SourceDataset
from equikpt.data_tools.convert.schemes import KeypointScheme, check_scheme, find_scheme
from equikpt.data_tools.convert.targets import Target, find_target
from equikpt.datasets.coco_checks import check_coco
from equikpt.datasets.coco_file import load_coco


def convert(
    format_name: str,
    source: Path,
    output: Path,
    *,
    mapping: str,
    target_name: str = "horse26",
    dry_run: bool = False,
    force: bool = False,
    link: bool = False,
) -> list[str]:
    """Convert a labelled dataset and check the result.

    Args:
        format_name: A format of :data:`FORMATS`.
        source: Folder to read.
        output: Root to write ``annotations/SPLIT.json`` and ``images/SPLIT/`` under.
        mapping: Name of a keypoint scheme or path of its YAML file.
        target_name: Dataset whose keypoints the output has.
        dry_run: Read and report, write nothing.
        force: Replace splits that exist in ``output``.
        link: Hard-link the pictures instead of copying them.

    Returns:
        Lines for the user: the mapping, the notes, the counts.

    Raises:
        FileExistsError: If a split exists in ``output`` and ``force`` is not set.
        FileNotFoundError: If the source or a part of it is missing.
        ValueError: If names, labels or pictures are wrong.
    """
    if format_name not in FORMATS:
        raise ValueError(f"no format '{format_name}'; expected one of {', '.join(FORMATS)}")
    target, scheme = find_target(target_name), find_scheme(mapping)
    check_scheme(scheme, target.keypoints)
    if not source.exists():
        raise FileNotFoundError(f"no {source}; give the folder of the dataset to convert")
    module, _, function = FORMATS[format_name].partition(":")
    dataset: SourceDataset = getattr(importlib.import_module(module), function)(source, scheme)
    drop_repeated_sources(dataset)
    dataset.splits = {split: dataset.splits[split] for split in SPLITS if dataset.splits.get(split)}
    contents, notes = to_coco(dataset, scheme, target)
    if not dry_run:
        writer.refuse_collisions(output, dataset.splits, force)
        writer.write(
            output,
            contents,
            dataset.splits,
            check=lambda root: check_output(root, contents, target),
            link=link,
        )
    return [
        *_mapping_lines(scheme, target),
        *(f"note: {note}" for note in (*dataset.notes, *notes)),
        *_count_lines(contents),
        f"nothing written (dry run); it would go to {output}" if dry_run else f"written: {output}",
    ]


def check_output(root: Path, contents: dict[str, dict], target: Target) -> None:
    """Read back what was written and load it with the dataset that will train on it.

    Raises:
        ValueError: If a count, a picture or a label is not as it should be.
    """
    for split, content in contents.items():
        path = writer.annotation_file(root, split)
        folder = writer.image_folder(root, split)
        written = load_coco(path)
        if written != content:
            raise ValueError(f"{path} does not read back as it was written; is the disk full?")
        problems = [finding.sentence() for finding in check_coco(written, target.names)]
        if problems:
            raise ValueError(f"split '{split}' would be wrong: {' - '.join(problems)}")
        names = {row["file_name"] for row in written["images"]}
        files = {file.name for file in folder.iterdir()}
        if names != files:
            raise ValueError(
                f"split '{split}' lists {len(names)} pictures and has {len(files)}, not the same; "
                "is something else writing there?"
            )
        dataset = target.dataset_class()(
            ann_file=str(path), data_prefix={"img": str(folder)}, max_missing_share=0.0
        )
        usable = sum(row["num_keypoints"] > 0 for row in written["annotations"])
        if len(dataset) != usable:
            raise ValueError(
                f"split '{split}' has {usable} labelled animals, and the dataset takes "
                f"{len(dataset)} of them"
            )


def _mapping_lines(scheme: KeypointScheme, target: Target) -> list[str]:
    source_of = {name: source for source, name in scheme.mapping.items()}
    lacking = [name for name in target.names if name not in source_of]
    dropped = [name for name in scheme.keypoints if name not in scheme.mapping]
    lines = [f"{len(source_of)} of {len(target.names)} keypoints of {target.name} have a source:"]
    lines += [f"  {source_of[name]} -> {name}" for name in target.names if name in source_of]
    if lacking:
        lines.append(f"without a source, visibility 0: {', '.join(lacking)}")
    if dropped:
        lines.append(f"of the source, not used: {', '.join(dropped)}")
    return lines


def _count_lines(contents: dict[str, dict]) -> list[str]:
    lines = []
    for split, content in contents.items():
        rows = content["annotations"]
        visibility = np.array([row["keypoints"][2::3] for row in rows], dtype=int)
        bare = sum(row["num_keypoints"] == 0 for row in rows)
        lines.append(
            f"{split}: {len(content['images'])} pictures, {len(rows)} animals, "
            f"{(visibility == 2).sum()} points seen, {(visibility == 1).sum()} hidden"
            + (f", {bare} animals without a point" if bare else "")
        )
    return lines
