"""The tables of DeepLabCut, csv and h5, as data frames: images by scorer, body part and so on.

:func:`pandas.read_hdf` unpickles what it finds, and unpickling runs code. Here only arrays of
numbers and of bytes are read; see the "fixed" form in pandas' ``io/pytables.py``.
"""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from equikpt.data_tools.convert.input_files import read_text
from equikpt.data_tools.convert.names import cut
from equikpt_runtime.cells import text_of_cell
from equikpt_runtime.tables import HEADERS

KEY = "df_with_missing"
"""DeepLabCut's name of its table in an h5 file."""

MAX_CELLS = 20_000_000
"""Size of one array: more than any table of labels has, and small in memory."""


def read_csv_table(path: Path) -> pd.DataFrame:
    """Read a table as DeepLabCut or a spreadsheet saves it.

    Commas, semicolons or tabs between cells; with the latter two, numbers may have a decimal comma.
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
        where = f"{path}, line {number},"
        if len(row) < width or any(cell.strip() for cell in row[width:]):
            raise ValueError(f"{where} has {len(row)} cells; expected {width} as in the header")
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


def read_h5_table(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Read the one table of an h5 file, or DeepLabCut's where there are several.

    Returns:
        The table and notes on what was not read.

    Raises:
        ImportError: If h5py is not installed.
        ValueError: If it holds no such table, several, or objects of Python.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f"{path} needs h5py, which is not installed; run pip install 'equikpt[formats]', or "
            "give the csv"
        ) from error
    try:
        with h5py.File(path, "r") as file:
            keys = [n for n in file if _is_own(file, n) and "pandas_type" in file[n].attrs]
            notes = []
            if len(keys) > 1 and KEY in keys:
                others = ", ".join(name for name in keys if name != KEY)
                notes, keys = [f"of {path.name}, {KEY} is read, and {others} is not"], [KEY]
            if len(keys) != 1:
                raise ValueError(
                    f"{path} has the tables {', '.join(keys) or 'of no name'}; expected one, or "
                    f"{KEY} among them: give the csv"
                )
            return _Group(file[keys[0]], path).frame(), notes
    except (OSError, KeyError, IndexError, RuntimeError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} holds no table of pandas ({error}); give the csv") from error


def _is_own(group: Any, name: str) -> bool:
    """Tell if a node lies in this file: links may lead to any file of the machine."""
    import h5py

    return isinstance(group.get(name, getlink=True), h5py.HardLink)


class _Group:
    """Nodes of a data frame in a file."""

    def __init__(self, group: Any, path: Path) -> None:
        self._group, self._path = group, path

    def frame(self) -> pd.DataFrame:
        kind = _text(self._group.attrs["pandas_type"])
        if kind != "frame":
            raise self._wrong(f"is written as '{kind}', not as a fixed frame")
        columns, index = self._axis("axis0"), self._axis("axis1")
        blocks = []
        for number in range(int(self._group.attrs["nblocks"])):
            name = f"block{number}_values"
            items, values = self._axis(f"block{number}_items"), self._array(name, "fiub")
            shape = (len(index), len(items))
            if "shape" in self._group[name].attrs:  # how pandas writes an empty array
                values = np.empty(shape)
            values = values if values.shape == shape else values.T
            if values.shape != shape or not items.isin(columns).all():
                raise self._damaged(name)
            blocks.append(pd.DataFrame(values.astype(float), index=index, columns=items))
        table = pd.concat(blocks, axis=1) if blocks else pd.DataFrame(index=index)
        if len(table.columns) != len(columns):
            raise self._damaged("axis0")
        return table if table.columns.has_duplicates else table[columns]

    def _axis(self, name: str) -> pd.Index:
        if _text(self._group.attrs[f"{name}_variety"]) != "multi":
            return pd.Index(self._names(name))
        levels: list[Any] = []
        for number in range(int(self._group.attrs[f"{name}_nlevels"])):
            names = self._names(f"{name}_level{number}")
            codes = self._array(f"{name}_label{number}", "iu").ravel()
            if not set(range(len(names))).issuperset(codes.tolist()):
                raise self._damaged(name)
            levels.append(names[codes])
        if len(set(map(len, levels))) > 1:
            raise self._damaged(name)
        return pd.MultiIndex.from_arrays(levels)

    def _names(self, name: str) -> np.ndarray:
        """Names, or numbers, of an axis."""
        values = self._array(name, "Siu").ravel()
        if values.dtype.kind != "S":
            return values
        return np.array([value.decode("utf-8") for value in values.tolist()], dtype=object)

    def _array(self, name: str, kinds: str) -> np.ndarray:
        """An array of the file itself, of one of numpy's ``kinds``."""
        node: Any = self._group[name] if _is_own(self._group, name) else None
        if not hasattr(node, "dtype") or node.is_virtual or node.external:
            raise self._wrong(f"keeps '{name}' in another file")
        if node.dtype.kind not in kinds or "PSEUDOATOM" in node.attrs:
            raise self._wrong(
                f"holds objects of Python in '{name}', which are not loaded, since they may run "
                "code"
            )
        if math.prod(node.shape) > MAX_CELLS:
            raise self._wrong(f"claims {math.prod(node.shape)} values in '{name}'")
        return np.asarray(node[()])

    def _damaged(self, name: str) -> ValueError:
        return self._wrong(f"is damaged: its '{name}' does not fit the rest")

    def _wrong(self, message: str) -> ValueError:
        return ValueError(f"{self._path} {message}; give the csv")


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
