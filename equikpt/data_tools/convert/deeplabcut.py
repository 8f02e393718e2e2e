"""DeepLabCut's ``CollectedData``: a table of images by body parts, csv or h5.

The columns are scorer, individuals (where there are several animals), bodyparts and coords: x and
y, of predictions likelihood as well. An empty cell is a point that is not labelled.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from equikpt.core.issues import format_examples
from equikpt.data_tools.convert.deeplabcut_files import HEADERS, project_tables, read_csv_table
from equikpt.data_tools.convert.h5_table import read_h5_table
from equikpt.data_tools.convert.images import ImageFolders, sizes_px
from equikpt.data_tools.convert.records import (
    UNSPLIT,
    Instance,
    LabelledImage,
    SourceDataset,
    safe_name,
)
from equikpt.data_tools.convert.schemes import KeypointScheme, chosen_keypoints

UNIQUE = "single"
"""DeepLabCut's individual of the body parts that are there once in an image."""


def read(source: Path, scheme: KeypointScheme, images: Path | None = None) -> SourceDataset:
    """Read the labels of a DeepLabCut project, or of one file.

    Args:
        source: A csv or h5 file, a project's folder, or a folder with ``CollectedData`` files at
            any depth.
        scheme: Its keypoints, if any, are the body parts to take; by default all.
        images: Folder of the images, by default looked for from the file upwards.

    Raises:
        FileNotFoundError: If there is no file.
        ImportError: If an h5 file is read without h5py.
        ValueError: If a file is no such table.
    """
    files, notes = ([source], []) if source.is_file() else project_tables(source)
    tables = {path: _table(path, notes) for path in files}
    parts = [part for table in tables.values() for part in table.columns.unique("bodyparts")]
    dataset = SourceDataset({}, notes, chosen_keypoints(scheme, parts, source))
    listed: list[LabelledImage] = []
    for path, table in tables.items():
        names = [safe_name(_joined(index)) for index in table.index]
        above = [path.parent, *list(path.resolve().parents)[1:3]]
        folders = ImageFolders([images] if images else above, root=images)
        found = folders.find_all([[name] for name in names])
        measured = sizes_px(found)
        for name, file, instances in zip(
            names, found, _instances(table, dataset.keypoints), strict=True
        ):
            width, height = measured.get(file, (0, 0))
            listed.append(LabelledImage(file, width, height, tuple(instances), name))
    dataset.splits[UNSPLIT] = listed
    halves = sum(_num_halves(table, dataset.keypoints) for table in tables.values())
    if halves:
        notes.append(f"{halves} points with one coordinate of the two are read as not labelled")
    bare = [image.file_name for image in listed if not image.instances]
    if bare:
        notes.append(f"images without a labelled point ({format_examples(bare)})")
    return dataset


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
    if columns["scorer"].nunique() > 1:
        raise ValueError(
            f"{path} has the labels of {columns['scorer'].nunique()} scorers "
            f"({', '.join(columns['scorer'].unique())}); give the table of one"
        )
    unknown = set(columns["coords"]) - {"x", "y", "likelihood"}
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
    return _without_unique_parts(table, path, notes)


def _without_unique_parts(table: pd.DataFrame, path: Path, notes: list[str]) -> pd.DataFrame:
    """The table of the animals: points that are there once in an image are of none of them."""
    individuals = table.columns.get_level_values("individuals")
    unique = individuals == UNIQUE
    if not unique.any() or unique.all():
        return table
    parts = table.columns[unique].unique("bodyparts")
    notes.append(f"unique body parts of {path.name}, which belong to no animal, are left out: "
                 f"{', '.join(parts)}")  # fmt: skip
    kept = table.loc[:, ~unique]
    kept.columns = kept.columns.remove_unused_levels()
    return kept


def _num_halves(table: pd.DataFrame, names: tuple[str, ...]) -> int:
    """Points of the named parts that have an x without a y, or a y without an x."""
    coords = table.columns.get_level_values("coords")
    chosen = table.columns.get_level_values("bodyparts").isin(names)
    x, y = (table.loc[:, chosen & (coords == coord)].droplevel("coords", axis=1) for coord in "xy")
    return int((x.notna() != y.reindex(columns=x.columns).notna()).to_numpy().sum())


def _joined(index: object) -> str:
    return "/".join(map(str, index)) if isinstance(index, tuple) else str(index)


def _instances(table: pd.DataFrame, names: tuple[str, ...]) -> Iterator[list[Instance]]:
    """The animals of each image: individuals with at least one labelled point."""
    values = table.to_numpy(dtype=float)
    column_of: dict[object, int] = {column: index for index, column in enumerate(table.columns)}
    scored = "likelihood" in table.columns.unique("coords")
    individuals = list(table.columns.unique("individuals"))
    for row in values:
        instances = []
        for individual in individuals:
            cells = np.full((len(names), 3), np.nan)
            for index, name in enumerate(names):
                for place, coord in enumerate(("x", "y", "likelihood")):
                    column = column_of.get((individual, name, coord))
                    if column is not None:
                        cells[index, place] = row[column]
            labelled = np.isfinite(cells[:, :2]).all(axis=1)
            if labelled.any():
                xy = np.where(labelled[:, None], cells[:, :2], 0)
                scores = np.nan_to_num(cells[:, 2]) if scored else None
                keypoints = np.column_stack([xy, np.where(labelled, 2.0, 0.0)])
                instances.append(Instance(None, keypoints, scores=scores))
        yield instances
