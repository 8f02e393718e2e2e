"""Read a table that pandas wrote to HDF5 from its own nodes.

:func:`pandas.read_hdf` unpickles what it finds, and unpickling runs code. Here only arrays of
numbers and of bytes are read; see the "fixed" form in pandas' ``io/pytables.py``.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

DEEPLABCUT_KEY = "df_with_missing"

MAX_CELLS = 20_000_000
"""Size of one array: more than any table of labels has, and small in memory."""


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
            key, notes = _key(file, path)
            return _frame(file[key], path), notes
    except (OSError, KeyError, IndexError, RuntimeError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} holds no table of pandas ({error}); give the csv") from error


def _key(file: Any, path: Path) -> tuple[str, list[str]]:
    keys = [name for name in file if _is_own(file, name) and "pandas_type" in file[name].attrs]
    if len(keys) > 1 and DEEPLABCUT_KEY in keys:
        others = ", ".join(name for name in keys if name != DEEPLABCUT_KEY)
        return DEEPLABCUT_KEY, [f"of {path.name}, {DEEPLABCUT_KEY} is read, and {others} is not"]
    if len(keys) != 1:
        raise ValueError(
            f"{path} has the tables {', '.join(keys) or 'of no name'}; expected one, or "
            f"{DEEPLABCUT_KEY} among them: give the csv"
        )
    return keys[0], []


def _is_own(group: Any, name: str) -> bool:
    """Tell if a node lies in this file: links may lead to any file of the machine."""
    import h5py

    return isinstance(group.get(name, getlink=True), h5py.HardLink)


def _frame(group: Any, path: Path) -> pd.DataFrame:
    kind = group.attrs["pandas_type"]
    if kind not in (b"frame", "frame"):
        raise ValueError(
            f"{path} is written as '{_text(kind)}', not as a fixed frame; give the csv"
        )
    columns, index = _axis(group, "axis0", path), _axis(group, "axis1", path)
    blocks = []
    for number in range(int(group.attrs["nblocks"])):
        items = _axis(group, f"block{number}_items", path)
        values = _array(group, f"block{number}_values", path, "fiub")
        if "shape" in group[f"block{number}_values"].attrs:  # how pandas writes an empty array
            values = np.empty((len(index), len(items)))
        if values.shape != (len(index), len(items)):
            values = values.T
        if values.shape != (len(index), len(items)) or not items.isin(columns).all():
            raise _damaged(path, f"block{number}_values")
        blocks.append(pd.DataFrame(values.astype(float), index=index, columns=items))
    table = pd.concat(blocks, axis=1) if blocks else pd.DataFrame(index=index)
    if len(table.columns) != len(columns):
        raise _damaged(path, "axis0")
    return table if table.columns.has_duplicates else table[columns]


def _axis(group: Any, name: str, path: Path) -> pd.Index:
    if _text(group.attrs[f"{name}_variety"]) != "multi":
        return pd.Index(_values(group, name, path))
    levels, codes = [], []
    for number in range(int(group.attrs[f"{name}_nlevels"])):
        levels.append(_values(group, f"{name}_level{number}", path))
        codes.append(_array(group, f"{name}_label{number}", path, "iu").ravel())
        known = set(range(len(levels[-1])))
        if codes[-1].shape != codes[0].shape or not known.issuperset(codes[-1].tolist()):
            raise _damaged(path, name)
    return pd.MultiIndex.from_arrays(
        [np.asarray(level)[code] for level, code in zip(levels, codes, strict=True)]
    )


def _values(group: Any, name: str, path: Path) -> np.ndarray:
    """Names, or numbers, of an axis."""
    values = _array(group, name, path, "Siu").ravel()
    if values.dtype.kind != "S":
        return values
    return np.array([value.decode("utf-8") for value in values.tolist()], dtype=object)


def _array(group: Any, name: str, path: Path, kinds: str) -> np.ndarray:
    """An array of the file itself, of one of numpy's ``kinds``."""
    node = group[name] if _is_own(group, name) else None
    if node is None or not hasattr(node, "dtype") or node.is_virtual or node.external:
        raise ValueError(f"{path} keeps '{name}' in another file; give the csv")
    if node.dtype.kind not in kinds or "PSEUDOATOM" in node.attrs:
        raise ValueError(
            f"{path} holds objects of Python in '{name}', which are not loaded, since they may run "
            "code; give the csv"
        )
    if math.prod(node.shape) > MAX_CELLS:
        raise ValueError(f"{path} claims {math.prod(node.shape)} values in '{name}'; give the csv")
    return np.asarray(node[()])


def _damaged(path: Path, name: str) -> ValueError:
    return ValueError(f"{path} is damaged: its '{name}' does not fit the rest; give the csv")


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
