"""DeepLabCut's ``CollectedData``: a table of pictures by body parts, csv or h5.

The columns are scorer, individuals (where there are several animals), bodyparts and coords: x and
y, of predictions likelihood as well. An empty cell is a point that is not labelled.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from equikpt.data_tools.convert.pictures import PictureFolders, sizes_px
from equikpt.data_tools.convert.records import (
    UNSPLIT,
    Instance,
    LabelledImage,
    SourceDataset,
    safe_name,
)
from equikpt.data_tools.convert.schemes import KeypointScheme
from equikpt.datasets.coco_checks import named

HEADERS = ("scorer", "individuals", "bodyparts", "coords")


def read(source: Path, scheme: KeypointScheme, images: Path | None = None) -> SourceDataset:
    """Read the labels of a DeepLabCut project, or of one file.

    Args:
        source: A csv or h5 file, or a folder with ``CollectedData`` files at any depth.
        scheme: Its keypoints, if any, are the body parts to take; by default all.
        images: Folder of the pictures, by default looked for from the file upwards.

    Raises:
        FileNotFoundError: If there is no file.
        ImportError: If an h5 file is read without pytables.
        ValueError: If a file is no such table.
    """
    files, notes = _files(source)
    tables = {path: _table(path) for path in files}
    parts = [part for table in tables.values() for part in table.columns.unique("bodyparts")]
    dataset = SourceDataset({}, notes, scheme.keypoints or tuple(dict.fromkeys(parts)))
    listed: list[LabelledImage] = []
    for path, table in tables.items():
        names = [safe_name(_joined(index)) for index in table.index]
        above = [path.parent, *list(path.resolve().parents)[1:3]]
        folders = PictureFolders([images] if images else above, root=images)
        found = folders.find_all([[name] for name in names])
        measured = sizes_px(found)
        for name, picture, instances in zip(
            names, found, _instances(table, dataset.keypoints), strict=True
        ):
            width, height = measured.get(picture, (0, 0))
            listed.append(LabelledImage(picture, width, height, tuple(instances), name))
    dataset.splits[UNSPLIT] = listed
    bare = [image.file_name for image in listed if not image.instances]
    if bare:
        notes.append(f"pictures without a labelled point ({named(bare)})")
    return dataset


def _files(source: Path) -> tuple[list[Path], list[str]]:
    """Every table once: the csv where there are a csv and an h5 of one name."""
    if source.is_file():
        return [source], []
    for stem in ("CollectedData", "machinelabels"):
        tables = sorted(source.rglob(f"{stem}*.csv"))
        others = sorted(source.rglob(f"{stem}*.h5"))
        if tables or others:
            break
    alone = [path for path in others if path.with_suffix(".csv") not in tables]
    if not tables and not others:
        raise FileNotFoundError(
            f"no CollectedData csv or h5 under {source}; give a project's folder"
        )
    doubled = len(others) - len(alone)
    notes = [f"{doubled} h5 files have a csv beside them, which is read"] if doubled else []
    if stem == "machinelabels":
        notes.append("machinelabels are predictions, read since there is no CollectedData")
    return [*tables, *alone], notes


def _table(path: Path) -> pd.DataFrame:
    """Columns (individuals, bodyparts, coords), one row a picture; individuals ``""`` if alone."""
    table = _read_h5(path) if path.suffix in (".h5", ".hdf5") else _read_csv(path)
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
    if "individuals" not in columns:
        columns["individuals"] = ""
    table.columns = pd.MultiIndex.from_frame(columns[["individuals", "bodyparts", "coords"]])
    if table.columns.has_duplicates:
        twice = table.columns[table.columns.duplicated()][0]
        raise ValueError(f"{path} has the column {' '.join(filter(None, twice))} twice; keep one")
    return table


def _read_csv(path: Path) -> pd.DataFrame:
    with path.open(newline="", encoding="utf-8-sig") as file:
        head = [row for row, _ in zip(csv.reader(file), HEADERS, strict=False)]
    levels = [row[0] for row in head if row and row[0] in HEADERS]
    if levels not in ([*HEADERS], [name for name in HEADERS if name != "individuals"]):
        raise ValueError(
            f"{path} begins with rows {', '.join(row[0] if row else '-' for row in head)}; "
            f"expected {', '.join(HEADERS)}, of which individuals may be absent"
        )
    # Newer versions give folder, film and picture a column each.
    num_index = next((i for i, cell in enumerate(head[len(levels) - 1]) if cell in ("x", "y")), 1)
    try:
        # The header apart: pandas would rename a column that is there twice.
        table = pd.read_csv(
            path, header=None, skiprows=len(levels), index_col=list(range(num_index))
        ).astype(float)
        table.columns = pd.MultiIndex.from_arrays([row[num_index:] for row in head[: len(levels)]])
    except ValueError as error:
        raise ValueError(
            f"{path} has a cell that is no number, or rows of unlike length ({error}); correct it"
        ) from error
    return table


def _read_h5(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_hdf(path)
    except ImportError as error:
        raise ImportError(
            f"{path} needs pytables, which is not installed; run pip install 'equikpt[formats]', "
            "or give the csv"
        ) from error
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} holds no table of pandas ({error}); give the csv") from error
    if not isinstance(table, pd.DataFrame):
        raise ValueError(f"{path} holds a {type(table).__name__}; give a CollectedData file")
    return table


def _joined(index: object) -> str:
    return "/".join(map(str, index)) if isinstance(index, tuple) else str(index)


def _instances(table: pd.DataFrame, names: tuple[str, ...]) -> Iterator[list[Instance]]:
    """The animals of each picture: individuals with at least one labelled point."""
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
