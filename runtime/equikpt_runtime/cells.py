"""Write tables: row by row, so that what is done is on disk, and without formulas.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@`` as a formula, and the names
of files and keypoints are other people's. Text that begins so is written with an apostrophe before
it, which spreadsheets take for "this is text"; numbers are left as they are.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
DIGITS = "%.6g"
"""Format of the numbers in tables."""


def text_cell(value: Any) -> Any:
    """Return a text as a cell that no spreadsheet runs; other values stay.

    :func:`text_of_cell` takes it back.
    """
    if isinstance(value, str) and value.removeprefix("'").startswith((*FORMULA_STARTS, "'")):
        return f"'{value}"
    return value


def text_of_cell(cell: str) -> str:
    """Return the text that :func:`text_cell` was given."""
    rest = cell[1:]
    return rest if cell.startswith("'") and text_cell(rest) == cell else cell


def cell(value: Any) -> Any:
    """Return a value as a cell of a CSV file: six digits a number, nothing for None and NaN."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return DIGITS % value if isinstance(value, float) else text_cell(value)


def csv_text(rows: Iterable[Sequence[Any]], cell: Callable[[Any], Any] = cell) -> str:
    """Return rows, the first of them the header, as the text of a CSV file.

    Args:
        rows: Values.
        cell: Function of a value to its cell; :func:`text_cell` keeps all digits.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(cell, row) for row in rows)
    return text.getvalue()


class _GrowingFile(contextlib.AbstractContextManager):
    """A file that appears under its name with its first row, whole at every moment after that.

    It is opened at once, so that a folder that may not be written to is known before anything is
    computed. A file that stands under the name is replaced with the first row, or at the end; in a
    ``with`` block that fails before, it stays. Missing folders are made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._part: Path | None = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._file = self._part.open("wb")

    def _done(self) -> None:
        """Hand what was written to the system, and give the file its name."""
        self._file.flush()
        if self._part is not None:
            os.replace(self._part, self.path)
            self._part = None

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is None:
            self._done()
        self._file.close()
        if self._part is not None:
            self._part.unlink(missing_ok=True)


class CsvTable(_GrowingFile):
    """A CSV file that grows by rows."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        super().__init__(path)
        self._columns = tuple(columns)
        self._file.write(csv_text([self._columns]).encode())

    def add(self, *rows: Mapping[str, Any]) -> None:
        """Append rows, values by column."""
        content = csv_text([row[name] for name in self._columns] for row in rows)
        self._file.write(content.encode())
        self._done()


class JsonTable(_GrowingFile):
    """A JSON file, a list that grows by rows and is closed after each."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file.write(b"[]\n")
        self._end = 1

    def add(self, *rows: Mapping[str, Any]) -> None:
        """Append rows; numbers that are not finite become null."""
        for row in rows:
            text = json.dumps([{key: _finite(value) for key, value in row.items()}], indent=1)
            inner = ("" if self._end == 1 else ",") + text[1:-2]  # without the list's brackets
            self._file.seek(self._end)
            self._file.write(inner.encode())
            self._end = self._file.tell()
            self._file.write(b"\n]\n")
        self._done()


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
