"""The tables of a DeepLabCut project: which of its files hold the labels, and their cells."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
import pandas as pd

from equikpt.core.issues import format_examples
from equikpt.core.tables import text_of_cell
from equikpt.data_tools.convert.records import cut
from equikpt.data_tools.convert.text_file import read_text, read_yaml

HEADERS = ("scorer", "individuals", "bodyparts", "coords")

LABELS, PREDICTIONS, FOLDER = "CollectedData", "machinelabels", "labeled-data"

BACKUP = "singleanimal"
"""Suffix that DeepLabCut appends to the tables that it converts to several animals, and keeps."""


def project_tables(source: Path) -> tuple[list[Path], list[str]]:
    """Tables of labels in a folder, each once: the csv where there are a csv and an h5 of one name.

    A project's own are ``labeled-data/*/CollectedData_<scorer>``, with the scorer of its
    ``config.yaml``. Backups and the copies in ``training-datasets/`` are left out.

    Args:
        source: A project, its ``labeled-data/``, or any folder with such tables.

    Returns:
        The tables, and notes on what is left out.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is not clear which are meant.
    """
    for stem in (LABELS, PREDICTIONS):
        found = [*sorted(source.rglob(f"{stem}*.csv")), *sorted(source.rglob(f"{stem}*.h5"))]
        if found:
            break
    else:
        raise FileNotFoundError(
            f"no CollectedData csv or h5 under {source}; give a project's folder"
        )
    config = next((path for path in _configs(source) if path.is_file()), None)
    scorer = _scorer(config) if config else ""
    own = [path for path in found if _is_own(path, scorer if stem == LABELS else "", config)]
    if not own:
        raise FileNotFoundError(
            f"no {FOLDER}/*/{LABELS}_{scorer or '<scorer>'} csv or h5 under {source}, though "
            f"there is {found[0]}; correct the scorer in config.yaml, or give that file"
        )
    tables = {path.with_suffix(""): path for path in reversed(own)}  # the csv last
    _refuse_rivals(sorted(tables))
    notes = []
    if len(own) < len(found):
        others = [str(path.relative_to(source)) for path in found if path not in own]
        notes.append(f"copies and backups of labels are left out ({format_examples(others)})")
    if len(tables) < len(own):
        doubled = len(own) - len(tables)
        notes.append(f"{doubled} h5 files have a csv beside them, which is read")
    if stem == PREDICTIONS:
        notes.append("machinelabels are predictions, read since there is no CollectedData")
    return sorted(tables.values()), notes


def _configs(source: Path) -> list[Path]:
    """Where the config lies of the project that the folder is, or is ``labeled-data/`` of."""
    source = source.resolve()
    inside = [folder.parent for folder in (source, source.parent) if folder.name == FOLDER]
    return [folder / "config.yaml" for folder in (source, *inside)]


def _scorer(config: Path) -> str:
    content = read_yaml(config)
    scorer = content.get("scorer") if isinstance(content, dict) else None
    return str(scorer) if scorer is not None else ""


def _is_own(path: Path, scorer: str, config: Path | None) -> bool:
    if "training-datasets" in path.parts or path.stem.endswith(BACKUP):
        return False
    if not scorer or config is None or not (config.parent / FOLDER).is_dir():
        return True
    place = path.resolve().parent.parent
    return path.stem == f"{LABELS}_{scorer}" and place == (config.parent / FOLDER).resolve()


def _refuse_rivals(tables: list[Path]) -> None:
    by_folder: dict[Path, Path] = {}
    for path in tables:
        other = by_folder.setdefault(path.parent, path)
        if other != path:
            raise ValueError(
                f"{path.parent} has the tables {other.name} and {path.name} of the same images; "
                "give the file of one of them"
            )


def read_csv_table(path: Path) -> pd.DataFrame:
    """Read a table as DeepLabCut or a spreadsheet saves it.

    Commas, semicolons or tabs between cells; with the latter two, numbers may have a decimal comma.

    Raises:
        ValueError: If it is no such table.
    """
    text = read_text(path)
    separator = next((mark for mark in ";\t" if mark in text.partition("\n")[0]), ",")
    try:
        cells = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        rows = [list(map(text_of_cell, row)) for row in cells]
    except csv.Error as error:
        raise ValueError(f"{path} is no csv ({error}); export it again") from error
    head = [row for row in rows[: len(HEADERS)] if row and row[0] in HEADERS]
    levels = [row[0] for row in head]
    if levels not in ([*HEADERS], [name for name in HEADERS if name != "individuals"]):
        begin = ", ".join(cut(row[0]) if row else "-" for row in rows[: len(HEADERS)])
        raise ValueError(
            f"{path} begins with rows {begin}; expected {', '.join(HEADERS)}, of which individuals "
            "may be absent"
        )
    width = max((i + 1 for row in head for i, cell in enumerate(row) if cell), default=0)
    # Newer versions give folder, video and image a column each.
    num_index = next((i for i, cell in enumerate(head[-1]) if cell in ("x", "y")), 1)
    index, values = [], []
    for number, row in enumerate(rows[len(levels) :], start=len(levels) + 1):
        if not any(cell.strip() for cell in row):
            continue  # spreadsheets leave empty rows behind
        if len(row) < width or any(cell.strip() for cell in row[width:]):
            raise ValueError(
                f"{path}, line {number}, has {len(row)} cells; expected {width} as in the header"
            )
        where = f"{path}, line {number},"
        index.append("/".join(row[:num_index]))
        values.append([_number(cell, separator, where) for cell in row[num_index:width]])
    columns = pd.MultiIndex.from_arrays([(*row, *[""] * width)[num_index:width] for row in head])
    return pd.DataFrame(np.array(values).reshape(-1, len(columns)), index, columns)


def _number(cell: str, separator: str, where: str) -> float:
    cell = cell.strip() if separator == "," else cell.strip().replace(",", ".")
    try:
        return float(cell) if cell else math.nan
    except ValueError as error:
        raise ValueError(
            f"{where} has a cell that is no number ('{cut(cell)}'); correct it"
        ) from error
