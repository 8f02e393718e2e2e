"""Writing DeepLabCut's tables: one in each folder of ``labeled-data/``, csv and h5.

Labels are ``CollectedData``; predictions are ``machinelabels``, with their likelihood, which
DeepLabCut opens for correction. Images are not copied: they are in the project.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from equikpt.core.tables import frame_text
from equikpt.data_tools.convert.images import with_instances
from equikpt.data_tools.convert.records import UNSPLIT, LabelledImage, SourceDataset
from equikpt.data_tools.convert.writer import Options

SCORER = "equikpt"

ROOT = "labeled-data"


def write(folder: Path, dataset: SourceDataset, options: Options) -> SourceDataset:
    """Write the tables of a dataset.

    Args:
        folder: Empty folder to write into.
        dataset: Mapped and complete.
        options: Not needed: no image is written.

    Returns:
        The dataset as written: without splits, animals without a point gone, and images in
        folders of ``labeled-data/``, as DeepLabCut wants them.
    """
    images = [_named(image, split) for split, images in dataset.splits.items() for image in images]
    written = SourceDataset({UNSPLIT: images}, [*dataset.notes], dataset.keypoints)
    scored = any(item.scores is not None for image in images for item in image.instances)
    num_animals = max((len(image.instances) for image in images), default=0)
    individuals = [f"animal{n}" for n in range(1, num_animals + 1)] if num_animals > 1 else [""]
    header = columns(individuals, dataset.keypoints, scored)
    by_folder: dict[PurePosixPath, list[LabelledImage]] = {}
    for image in images:
        by_folder.setdefault(PurePosixPath(image.file_name).parent, []).append(image)
    stem = "machinelabels-iter0" if scored else f"CollectedData_{SCORER}"
    for place, own in by_folder.items():
        rows = [_row(image, len(individuals), len(dataset.keypoints), scored) for image in own]
        table = pd.DataFrame(
            np.array(rows), index=[image.file_name for image in own], columns=header
        )
        (folder / place).mkdir(parents=True, exist_ok=True)
        text = frame_text(table, index=True)
        (folder / place / f"{stem}.csv").write_text(text, encoding="utf-8")
        if find_spec("tables"):
            table.to_hdf(folder / place / f"{stem}.h5", key="df_with_missing", mode="w")
    if not find_spec("tables"):
        written.notes.append(
            "the h5 files are not written, since pytables is not installed (pip install "
            "'equikpt[formats]'); deeplabcut.convertcsv2h5 makes them from the csv"
        )
    return written


def _named(image: LabelledImage, split: str) -> LabelledImage:
    name = image.file_name
    if PurePosixPath(name).parts[0] != ROOT:
        name = f"{ROOT}/{split}/{name.replace('/', '_')}"
    pointed = [instance for instance in image.instances if len(instance.labelled)]
    return replace(with_instances(image, pointed), name=name)


def columns(individuals: list[str], keypoints: tuple[str, ...], scored: bool) -> pd.MultiIndex:
    """DeepLabCut's header: scorer, individuals (unless there is one, named ""), bodyparts, coords.

    Args:
        individuals: Names of the animals.
        keypoints: Names of the keypoints.
        scored: Whether each point has a likelihood.
    """
    coords = ["x", "y", *(["likelihood"] if scored else [])]
    if individuals == [""]:
        levels, names = [[SCORER], keypoints, coords], ["scorer", "bodyparts", "coords"]
    else:
        levels = [[SCORER], individuals, keypoints, coords]
        names = ["scorer", "individuals", "bodyparts", "coords"]
    return pd.MultiIndex.from_product(levels, names=names)


def _row(image: LabelledImage, num_animals: int, num_keypoints: int, scored: bool) -> np.ndarray:
    """The cells of an image; points that are not labelled, and animals that lack, are empty."""
    cells = np.full((num_animals, num_keypoints, 3 if scored else 2), np.nan)
    for index, instance in enumerate(image.instances):
        labelled = instance.keypoints[:, 2] > 0
        cells[index, labelled, :2] = instance.keypoints[labelled, :2]
        if instance.scores is not None:
            cells[index, labelled, 2] = instance.scores[labelled]
    return cells.ravel()
