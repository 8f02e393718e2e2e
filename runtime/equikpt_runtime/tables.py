"""Keypoints of many images or frames as tables: a plain csv, and those of DeepLabCut.

Rows go to disk as they come: what is small and stays, among images that are large and go, would
keep the memory of those images from being used again. An animal's number is that of its track, or
its rank in its image, from 1.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import chain, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equikpt_runtime.cells import CsvTable, csv_text, text_cell
from equikpt_runtime.files import write_bytes, write_text
from equikpt_runtime.instance import Instance

if TYPE_CHECKING:
    from typing_extensions import Self  # typing's from Python 3.11 on

DEEPLABCUT_SUFFIXES = (".csv", ".h5")
SCORER = "equikpt"
HEADERS = ("scorer", "individuals", "bodyparts", "coords")
"""Rows of DeepLabCut's header; without individuals where there is one animal."""
COORDS = ("x", "y", "likelihood")
PLAIN_COLUMNS = (
    *("image", "time_s", "animal", "keypoint", "x_px", "y_px", "score"),
    *("left_px", "top_px", "right_px", "bottom_px", "box_score"),
    *("radius_px", "presence", "seen"),
)


class PlainTable:
    """A csv with a row a keypoint, which is on disk when its image was added.

    Columns: ``image`` (name or number of the frame), ``time_s``, ``animal``, ``keypoint``
    (name, or number from 1), ``x_px``, ``y_px``, ``score`` and of the box ``left_px``,
    ``top_px``, ``right_px``, ``bottom_px`` and ``box_score``, then ``radius_px``, ``presence`` and
    ``seen`` as :class:`Instance` has them, empty where it has not. Points that the model did not
    give have no row. It is written in a ``with`` block.

    Args:
        path: File.
        names: Of the K keypoints; None for models that point at unnamed things.
    """

    def __init__(self, path: Path, names: Sequence[str] | None) -> None:
        self._names = names
        self._table = CsvTable(path, PLAIN_COLUMNS)

    def add(
        self, image: str | int, instances: Sequence[Instance], time_s: float | None = None
    ) -> None:
        """Append an image by name, or a frame by number, with its animals."""
        rows = []
        for number, instance in _numbered(instances):
            given = np.isfinite(instance.keypoints).all(axis=1)
            names = self._names or range(1, len(given) + 1)
            points = np.column_stack([instance.keypoints, instance.scores]).astype(float)
            box = [*np.asarray(instance.box, float).tolist(), float(instance.box_score)]
            extras = [
                [None] * len(given) if values is None else np.asarray(values, float).tolist()
                for values in (instance.radius, instance.presence, instance.seen)
            ]
            for index in np.flatnonzero(given).tolist():
                point = (*points[index].tolist(), *box, *(values[index] for values in extras))
                values = (image, time_s, number, names[index], *point)
                rows.append(dict(zip(PLAIN_COLUMNS, values, strict=True)))
        self._table.add(*rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        self._table.__exit__(kind, *rest)


class DeepLabCutTable:
    """The csv or h5 that DeepLabCut writes of a video: a row an image, x, y and likelihood.

    The columns are scorer, individuals (where there are several animals), bodyparts and coords;
    what was not found is NaN. The likelihood is the score, times the presence where there is one.
    The number of animals is known at the end of the ``with`` block: until then the points lie in a
    temporary file. A block that fails leaves the table of what was done.

    Args:
        path: File.
        names: Of the K keypoints.

    Raises:
        ValueError: As :func:`check_deeplabcut_name`.
        ImportError: An h5 file without pytables or pandas.
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        check_deeplabcut_name(path)
        self.path = path
        self.names = tuple(names)
        self._images: list[str | int] = []
        self._spool = tempfile.TemporaryFile(prefix="equikpt_")  # noqa: SIM115 - closed by __exit__

    def add(
        self, image: str | int, instances: Sequence[Instance], time_s: float | None = None
    ) -> None:
        """Append an image; as :meth:`PlainTable.add`."""
        for number, instance in _numbered(instances):
            presence = 1 if instance.presence is None else instance.presence
            likelihood = instance.scores * presence
            points = np.column_stack([instance.keypoints, likelihood]).astype(float)
            self._spool.write(np.array([len(self._images), number, *points.ravel()]).tobytes())
        self._images.append(image)

    def cells(self) -> tuple[list[tuple[str, str, str, str]], np.ndarray]:
        """Return the columns so far, as their header names them, and a row of cells an image."""
        self._spool.seek(0)
        content = np.frombuffer(self._spool.read()).reshape(-1, 2 + 3 * len(self.names))
        numbers, animal = np.unique(content[:, 1], return_inverse=True)
        animals = [f"animal{n:.0f}" for n in numbers] if len(numbers) > 1 else [""]
        cells = np.full((len(self._images), len(animals), len(self.names), 3), np.nan)
        points = content[:, 2:].reshape(len(content), len(self.names), 3)
        found = np.isfinite(points[..., :2]).all(axis=-1, keepdims=True)
        cells[content[:, 0].astype(int), animal] = np.where(found, points, np.nan)
        columns = list(product([SCORER], animals, self.names, COORDS))
        return columns, cells.reshape(len(cells), -1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        with self._spool:
            if kind is not None and not self._images:
                return
            columns, cells = self.cells()
        header = list(zip(HEADERS, zip(*columns, strict=True), strict=True))
        if len({animal for _, animal, *_ in columns}) == 1:
            del header[1]
        if self.path.suffix == ".h5":
            write_bytes(self.path, _hdf(header, self._images, cells))
            return
        head = [[name, *values] for name, values in header]
        # pandas, which reads these files, takes a row of empty cells for a part of the header
        rows = (
            [image, *("NaN" if np.isnan(value) else value for value in row.tolist())]
            for image, row in zip(self._images, cells, strict=True)
        )
        write_text(self.path, csv_text(chain(head, rows), text_cell))


def _hdf(
    header: list[tuple[str, tuple[str, ...]]], images: list[str | int], cells: np.ndarray
) -> bytes:
    import pandas as pd

    names, levels = zip(*header, strict=True)
    columns = pd.MultiIndex.from_arrays(levels, names=names)
    with tempfile.TemporaryDirectory(prefix="equikpt_") as scratch:
        part = Path(scratch) / "tracks.h5"
        pd.DataFrame(cells, images, columns).to_hdf(part, key="df_with_missing", mode="w")
        return part.read_bytes()


def _numbered(instances: Sequence[Instance]) -> list[tuple[int, Instance]]:
    return [
        (rank if instance.track is None else instance.track, instance)
        for rank, instance in enumerate(instances, start=1)
    ]


def check_deeplabcut_name(path: Path) -> None:
    """Refuse what cannot be written, before anything is computed.

    Raises:
        ValueError: Neither csv nor h5.
        ImportError: An h5 file without pytables or pandas.
    """
    if path.suffix not in DEEPLABCUT_SUFFIXES:
        raise ValueError(f"expected DeepLabCut's table as .csv or .h5, got {str(path)!r}")
    if path.suffix == ".h5" and not (find_spec("tables") and find_spec("pandas")):
        raise ImportError(
            f"{path} needs pytables and pandas, which are not installed; run pip "
            "install tables pandas, "
            "or write a csv, of which deeplabcut.convertcsv2h5 makes the h5"
        )
