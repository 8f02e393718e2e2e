"""Keypoints of many pictures or frames as tables: a plain csv, and those of DeepLabCut."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from equikpt.apis.instance import Instance
from equikpt.data_tools.convert.deeplabcut_writer import columns as deeplabcut_columns
from equikpt.files import write_bytes, write_text

DEEPLABCUT_SUFFIXES = (".csv", ".h5")


class KeypointTable:
    """Gathers what was found, some hundred bytes an animal and picture.

    Args:
        names: Of the K keypoints; None for models that point at unnamed things.
    """

    def __init__(self, names: Sequence[str] | None) -> None:
        self.names = None if names is None else tuple(names)
        self._rows: list[tuple[str | int, float | None, int, Instance]] = []
        self._pictures: dict[str | int, None] = {}

    def add(
        self, picture: str | int, instances: Sequence[Instance], time_s: float | None = None
    ) -> None:
        """Append a picture by name, or a frame by number, with its animals.

        An animal's number is that of its track, or its place in the list, from 1.
        """
        self._pictures[picture] = None
        for place, instance in enumerate(instances, start=1):
            number = place if instance.track is None else instance.track
            light = Instance(instance.keypoints, instance.scores, instance.box, instance.box_score)
            self._rows.append((picture, time_s, number, light))

    def plain(self) -> pd.DataFrame:
        """A row a keypoint.

        Columns: ``picture`` (name or number of the frame), ``time_s``, ``animal``, ``keypoint``
        (name, or number from 1), ``x_px``, ``y_px``, ``score`` and of the box ``left_px``,
        ``top_px``, ``right_px``, ``bottom_px`` and ``box_score``. Points that the model did not
        give have no row.
        """
        parts = []
        for picture, time_s, number, instance in self._rows:
            given = np.isfinite(instance.keypoints).all(axis=1)
            labels: Sequence = self.names or range(1, len(given) + 1)
            part = pd.DataFrame(instance.keypoints[given], columns=["x_px", "y_px"])
            part["score"] = instance.scores[given]
            part.insert(0, "keypoint", np.asarray(labels, object)[given])
            part.insert(0, "animal", number)
            part.insert(0, "time_s", np.nan if time_s is None else time_s)
            part.insert(0, "picture", picture)
            part[["left_px", "top_px", "right_px", "bottom_px"]] = instance.box
            part["box_score"] = instance.box_score
            parts.append(part)
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=PLAIN_COLUMNS)

    def deeplabcut(self) -> pd.DataFrame:
        """As DeepLabCut writes what it found in a video: a row a picture, x, y and likelihood.

        The columns are scorer, individuals (where there are several animals), bodyparts and coords;
        what was not found is NaN.

        Raises:
            ValueError: Points without names.
        """
        if self.names is None:
            raise ValueError(
                "expected a model of named keypoints for DeepLabCut's table, this one points at "
                "any number of things; write --csv instead"
            )
        numbers = sorted({number for _, _, number, _ in self._rows})
        column_of = {number: place for place, number in enumerate(numbers)}
        row_of = {picture: place for place, picture in enumerate(self._pictures)}
        animals = [f"animal{number}" for number in numbers] if len(numbers) > 1 else [""]
        cells = np.full((len(row_of), len(animals), len(self.names), 3), np.nan)
        for picture, _, number, instance in self._rows:
            own = cells[row_of[picture], column_of[number]]
            given = np.isfinite(instance.keypoints).all(axis=1)
            own[given, :2] = instance.keypoints[given]
            own[given, 2] = instance.scores[given]
        columns = deeplabcut_columns(animals, self.names, scored=True)
        return pd.DataFrame(cells.reshape(len(row_of), -1), list(row_of), columns)


PLAIN_COLUMNS = (
    *("picture", "time_s", "animal", "keypoint", "x_px", "y_px", "score"),
    *("left_px", "top_px", "right_px", "bottom_px", "box_score"),
)


def write_plain(table: KeypointTable, path: Path) -> None:
    """Write :meth:`KeypointTable.plain` as csv."""
    write_text(path, table.plain().to_csv(index=False, float_format="%.6g"))


def write_deeplabcut(table: KeypointTable, path: Path) -> None:
    """Write :meth:`KeypointTable.deeplabcut` as csv or h5.

    Raises:
        ValueError: As :func:`check_deeplabcut_name`.
        ImportError: An h5 file without pytables.
    """
    check_deeplabcut_name(path)
    content = table.deeplabcut()
    if path.suffix == ".csv":
        # pandas, which reads these files, takes a first row of empty cells for part of the header
        write_text(path, content.to_csv(na_rep="NaN"))
        return
    with tempfile.TemporaryDirectory(prefix="equikpt_") as scratch:
        part = Path(scratch) / "tracks.h5"
        content.to_hdf(part, key="df_with_missing", mode="w")
        write_bytes(path, part.read_bytes())


def check_deeplabcut_name(path: Path) -> None:
    """Refuse what cannot be written, before anything is computed.

    Raises:
        ValueError: Neither csv nor h5.
        ImportError: An h5 file without pytables.
    """
    if path.suffix not in DEEPLABCUT_SUFFIXES:
        raise ValueError(f"expected --dlc with .csv or .h5, got {str(path)!r}")
    if path.suffix == ".h5" and find_spec("tables") is None:
        raise ImportError(
            f"{path} needs pytables, which is not installed; run pip install 'equikpt[formats]', "
            "or write a csv, of which deeplabcut.convertcsv2h5 makes the h5"
        )
