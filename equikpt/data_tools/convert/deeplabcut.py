"""DeepLabCut's ``CollectedData``: a table of images by body parts, csv or h5, read and written.

The columns are scorer, individuals (where there are several animals), bodyparts and coords: x and
y, of predictions likelihood as well. An empty cell is a point that is not labelled. Labels are
``CollectedData``; predictions are ``machinelabels``, which DeepLabCut opens for correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from equikpt.core.tables import frame_text
from equikpt.data_tools.convert.deeplabcut_tables import (
    KEY,
    read_csv_table,
    read_h5_table,
)
from equikpt.data_tools.convert.images import ImageFolders, sizes_px
from equikpt.data_tools.convert.input_files import read_yaml
from equikpt.data_tools.convert.names import safe_name
from equikpt.data_tools.convert.records import (
    UNSPLIT,
    Instance,
    LabelledImage,
    SourceDataset,
    noted,
)
from equikpt.data_tools.convert.schemes import KeypointScheme, chosen_keypoints
from equikpt.data_tools.convert.writer import Options
from equikpt_runtime.tables import COORDS, HEADERS, SCORER

LABELS, PREDICTIONS, FOLDER = "CollectedData", "machinelabels", "labeled-data"

BACKUP = "singleanimal"
"""Suffix that DeepLabCut appends to the tables that it converts to several animals, and keeps."""

UNIQUE = "single"
"""DeepLabCut's individual of the body parts that are there once in an image."""


def read(source: Path, scheme: KeypointScheme, images: Path | None = None) -> SourceDataset:
    """Read a csv or h5 file, a project, or a folder with ``CollectedData`` files at any depth.

    Raises:
        ImportError: If an h5 file is read without h5py.
    """
    files, notes = ([source], []) if source.is_file() else project_tables(source)
    tables = {path: _table(path, notes) for path in files}
    parts = [part for table in tables.values() for part in table.columns.unique("bodyparts")]
    dataset = SourceDataset({}, notes, chosen_keypoints(scheme, parts, source))
    skeleton = _config_and_folder(source)[0].get("skeleton")
    dataset.links = tuple(
        (str(link[0]), str(link[1]))
        for link in (skeleton if isinstance(skeleton, list) else ())
        if isinstance(link, list) and len(link) == 2
    )
    listed: list[LabelledImage] = []
    halves = 0
    for path, table in tables.items():
        names = [
            safe_name("/".join(map(str, index)) if isinstance(index, tuple) else str(index))
            for index in table.index
        ]
        above = [path.parent, *list(path.resolve().parents)[1:3]]
        folders = ImageFolders([images] if images else above, root=images)
        found = folders.find_all([[name] for name in names])
        measured = sizes_px(found)
        cells = _cells(table, dataset.keypoints)
        scored = "likelihood" in table.columns.unique("coords")
        there = np.isfinite(cells[..., :2])
        halves += int((there[..., 0] != there[..., 1]).sum())
        for name, file, own in zip(names, found, cells, strict=True):
            size = measured.get(file, (0, 0))
            instances = [_instance(animal, scored) for animal in own]
            pointed = tuple(item for item in instances if len(item.labelled))
            listed.append(LabelledImage(file, *size, pointed, name))
    dataset.splits[UNSPLIT] = listed
    if halves:
        notes.append(f"{halves} points with one coordinate of the two are read as not labelled")
    bare = [image.file_name for image in listed if not image.instances]
    notes += noted("images without a labelled point", bare)
    return dataset


def project_tables(source: Path) -> tuple[list[Path], list[str]]:
    """Find the tables of labels in a folder, each once: of a csv and an h5 of one name the csv.

    A project's own are ``labeled-data/*/CollectedData_<scorer>``, with the scorer of its
    ``config.yaml``. Backups and the copies in ``training-datasets/`` are left out.

    Args:
        source: A project, its ``labeled-data/``, or any folder with such tables.

    Returns:
        The tables, and notes on what is left out.
    """
    for stem in (LABELS, PREDICTIONS):
        found = [*sorted(source.rglob(f"{stem}*.csv")), *sorted(source.rglob(f"{stem}*.h5"))]
        if found:
            break
    else:
        raise FileNotFoundError(
            f"no CollectedData csv or h5 under {source}; give a project's folder"
        )
    config, own = _config_and_folder(source)
    scorer = "" if config.get("scorer") is None else str(config["scorer"])
    required = f"{LABELS}_{scorer}" if scorer and stem == LABELS and own.is_dir() else ""
    kept = [
        path
        for path in found
        if "training-datasets" not in path.parts
        and not path.stem.endswith(BACKUP)
        and (not required or (path.stem, path.resolve().parent.parent) == (required, own))
    ]
    if not kept:
        raise FileNotFoundError(
            f"no {FOLDER}/*/{LABELS}_{scorer or '<scorer>'} csv or h5 under {source}, though "
            f"there is {found[0]}; correct the scorer in config.yaml, or give that file"
        )
    tables = {path.with_suffix(""): path for path in reversed(kept)}  # the csv last
    for folder, rivals in groupby(sorted(tables), lambda path: path.parent):
        first, *others = (path.name for path in rivals)
        if others:
            raise ValueError(
                f"{folder} has the tables {first} and {others[0]} of the same images; give the "
                "file of one of them"
            )
    others = [str(path.relative_to(source)) for path in found if path not in kept]
    notes = noted("copies and backups of labels are left out", others)
    if len(tables) < len(kept):
        doubled = len(kept) - len(tables)
        notes.append(f"{doubled} h5 files have a csv beside them, which is read")
    if stem == PREDICTIONS:
        notes.append("machinelabels are predictions, read since there is no CollectedData")
    return sorted(tables.values()), notes


def _config_and_folder(source: Path) -> tuple[dict, Path]:
    """``config.yaml`` and ``labeled-data/`` of the project that a folder is, or is a part of."""
    source = source.resolve()
    projects = [
        source,
        *(folder.parent for folder in (source, source.parent) if folder.name == FOLDER),
    ]
    for project in projects:
        if (project / "config.yaml").is_file():
            content = read_yaml(project / "config.yaml")
            return content if isinstance(content, dict) else {}, (project / FOLDER).resolve()
    return {}, source


def _table(path: Path, notes: list[str]) -> pd.DataFrame:
    """Columns (individuals, bodyparts, coords), one row an image; individuals ``""`` if alone."""
    if path.suffix in (".h5", ".hdf5"):
        table, said = read_h5_table(path)
        notes += said
    else:
        table = read_csv_table(path)
    if not isinstance(table.columns, pd.MultiIndex) or table.columns.nlevels not in (3, 4):
        raise ValueError(f"{path} has no header of {', '.join(HEADERS)}; give a CollectedData file")
    levels = [level for level in HEADERS if level != "individuals" or table.columns.nlevels == 4]
    columns = table.columns.set_names(levels).to_frame(index=False).astype(str)
    scorers = columns["scorer"].unique()
    if len(scorers) > 1:
        raise ValueError(
            f"{path} has the labels of {len(scorers)} scorers ({', '.join(scorers)}); give the "
            "table of one"
        )
    unknown = set(columns["coords"]) - {*COORDS}
    if unknown:
        raise ValueError(f"{path} has coords {', '.join(sorted(unknown))}; expected x and y")
    if np.isinf(table.to_numpy()).any():
        raise ValueError(f"{path} has infinite coordinates; correct them")
    if "individuals" not in columns:
        columns["individuals"] = ""
    table.columns = pd.MultiIndex.from_frame(columns[["individuals", "bodyparts", "coords"]])
    if table.columns.has_duplicates:
        twice = table.columns[table.columns.duplicated()][0]
        raise ValueError(f"{path} has the column {' '.join(filter(None, twice))} twice; keep one")
    unique = table.columns.get_level_values("individuals") == UNIQUE
    if not unique.any() or unique.all():
        return table
    parts = ", ".join(table.columns[unique].unique("bodyparts"))
    notes.append(
        f"unique body parts of {path.name}, which belong to no animal, are left out: {parts}"
    )
    table = table.loc[:, ~unique]
    table.columns = table.columns.remove_unused_levels()
    return table


def _cells(table: pd.DataFrame, names: tuple[str, ...]) -> np.ndarray:
    """(images, animals, keypoints, 3) x, y, likelihood; NaN where there is none."""
    individuals = table.columns.unique("individuals")
    columns = pd.MultiIndex.from_product([individuals, names, COORDS])
    cells = table.reindex(columns=columns).to_numpy(dtype=float)
    return cells.reshape(len(table), len(individuals), len(names), len(COORDS))


def _instance(cells: np.ndarray, scored: bool) -> Instance:
    labelled = np.isfinite(cells[:, :2]).all(axis=1)
    xy = np.where(labelled[:, None], cells[:, :2], 0)
    scores = np.nan_to_num(cells[:, 2]) if scored else None
    return Instance(None, np.column_stack([xy, np.where(labelled, 2.0, 0.0)]), scores=scores)


def write(folder: Path, dataset: SourceDataset, options: Options) -> SourceDataset:
    """Write a table, csv and h5, in each folder of ``labeled-data/``; the project has the images.

    Splits and animals without a point go, and names of images get such a folder.
    """
    images = [_named(image, split) for split, images in dataset.splits.items() for image in images]
    written = SourceDataset({UNSPLIT: images}, [*dataset.notes], dataset.keypoints)
    scored = any(item.scores is not None for item in written.instances())
    num_animals = max((len(image.instances) for image in images), default=0)
    individuals = [f"animal{n}" for n in range(1, num_animals + 1)] if num_animals > 1 else [""]
    header = columns(individuals, dataset.keypoints, scored)
    shape = (len(individuals), len(dataset.keypoints), 3 if scored else 2)
    rows = np.array([_row(image, shape) for image in images])
    table = pd.DataFrame(rows, [image.file_name for image in images], header)
    stem = "machinelabels-iter0" if scored else f"{LABELS}_{SCORER}"
    parents = np.array([str(PurePosixPath(name).parent) for name in table.index])
    for parent, own in table.groupby(parents, sort=False):
        path = folder / str(parent) / f"{stem}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(frame_text(own, index=True), encoding="utf-8")
        if find_spec("tables"):
            own.to_hdf(path.with_suffix(".h5"), key=KEY, mode="w")
    if not find_spec("tables"):
        written.notes.append(
            "the h5 files are not written, since pytables is not installed (pip install "
            "'equikpt[formats]'); deeplabcut.convertcsv2h5 makes them from the csv"
        )
    return written


def _named(image: LabelledImage, split: str) -> LabelledImage:
    name = image.file_name
    if PurePosixPath(name).parts[0] != FOLDER:
        name = f"{FOLDER}/{split}/{name.replace('/', '_')}"
    return image.having((item for item in image.instances if len(item.labelled)), name)


def columns(individuals: list[str], keypoints: tuple[str, ...], scored: bool) -> pd.MultiIndex:
    """DeepLabCut's header: scorer, individuals (unless there is one, named ""), bodyparts, coords.

    Args:
        individuals: Names of the animals.
        keypoints: Names of the keypoints.
        scored: Whether each point has a likelihood.
    """
    levels: list[Sequence[str]] = [[SCORER], individuals, keypoints, COORDS[: 2 + scored]]
    kept = [(name, level) for name, level in zip(HEADERS, levels, strict=True) if level != [""]]
    return pd.MultiIndex.from_product([row[1] for row in kept], names=[row[0] for row in kept])


def _row(image: LabelledImage, shape: tuple[int, int, int]) -> np.ndarray:
    """The cells of an image; points that are not labelled, and animals that lack, are empty."""
    cells = np.full(shape, np.nan)
    for index, instance in enumerate(image.instances):
        labelled = instance.keypoints[:, 2] > 0
        cells[index, labelled, :2] = instance.keypoints[labelled, :2]
        if instance.scores is not None:
            cells[index, labelled, 2] = instance.scores[labelled]
    return cells.ravel()
