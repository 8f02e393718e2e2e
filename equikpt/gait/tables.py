"""Keypoints of one animal over time, as any program writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from equikpt_runtime.cells import text_of_cell
from equikpt_runtime.tables import PLAIN_COLUMNS

SUFFIXES = (".csv", ".h5", ".slp")
NEEDED = ("image", "time_s", "animal", "keypoint", "x_px", "y_px")


@dataclass(frozen=True, eq=False)
class KeypointTable:
    """Keypoints of one animal.

    Args:
        times_s: (T,) of the frames, rising.
        names: Of the K keypoints.
        xy: (T, K, 2) in px, y down; NaN where a point is not given.
        scores: (T, K) in 0 to 1; None where the program gives none.
        radii: (T, K) px that hold the point with a known probability, likewise.
        animal: Name or number of the animal; empty where there is one.
        image_xy: (T, K, 2) in px of each image, where ``xy`` are in px of one frame that a moving
            camera was taken out of; None where they are the same.

    Raises:
        ValueError: Shapes that do not fit, or times that do not rise.
    """

    times_s: np.ndarray
    names: tuple[str, ...]
    xy: np.ndarray
    scores: np.ndarray | None = None
    radii: np.ndarray | None = None
    animal: str = ""
    image_xy: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = (len(self.times_s), len(self.names))
        if self.xy.shape != (*shape, 2):
            raise ValueError(
                f"expected xy of {(*shape, 2)} for {shape[0]} times and {shape[1]} names, got "
                f"{self.xy.shape}"
            )
        shapes = dict(scores=shape, radii=shape, image_xy=(*shape, 2))
        for name, wanted in shapes.items():
            given = getattr(self, name)
            if given is not None and given.shape != wanted:
                raise ValueError(f"expected {name} of {wanted}, got {given.shape}")
        if not (np.isfinite(self.times_s).all() and (np.diff(self.times_s) > 0).all()):
            raise ValueError("expected times that rise from frame to frame; sort the table by them")


def read_tables(path: Path, fps: float | None = None) -> list[KeypointTable]:
    """Read the animals of a table.

    Args:
        path: The csv of ``equikpt track``, ``equikpt visualize --csv`` or ``equikpt-run``, a table
            of DeepLabCut (csv or h5), or a file of SLEAP (slp). Points are those that the model
            saw; of a camera that moves, in the stabilised frame.
        fps: Frames a second, of files that hold no times.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: An h5 or slp file without the library that reads it.
        ValueError: It is no such table, or ``fps`` is missing or given for nothing.
    """
    check_table(path)
    if path.suffix == ".slp":
        return _sleap(path, fps)
    if path.suffix == ".csv" and _is_plain(path):
        return _plain(path, fps)
    return _deeplabcut(path, fps)


def check_table(path: Path) -> None:
    """Refuse what is no table by its name, before anything is read.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It has another suffix.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; give a table of keypoints (.csv, .h5 or .slp)")
    if path.suffix not in SUFFIXES:
        raise ValueError(f"expected a table as {', '.join(SUFFIXES)}, got {path}")


def _is_plain(path: Path) -> bool:
    with path.open("rb") as file:
        return file.readline().decode("utf-8", "replace").startswith("image,")


def _times(path: Path, frames: np.ndarray, fps: float | None) -> np.ndarray:
    if fps is None:
        raise ValueError(f"{path} holds no times; expected fps, the frames a second of its video")
    return frames / fps


def _plain(path: Path, fps: float | None) -> list[KeypointTable]:
    text = ("image", "animal", "keypoint")
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys(text, str))
    except (ValueError, pd.errors.ParserError) as error:
        raise ValueError(f"{path} is no table of keypoints ({error}); write it again") from error
    missing = [name for name in NEEDED if name not in frame.columns]
    if missing:
        raise ValueError(
            f"{path} has no column {missing[0]}; expected {', '.join(PLAIN_COLUMNS)}, of which the "
            "latter may be absent"
        )
    is_moved = "still_x_px" in frame  # a moving camera was taken out
    x, y = ("still_x_px", "still_y_px") if is_moved else ("x_px", "y_px")
    wanted = dict.fromkeys(("time_s", x, y, "x_px", "y_px", "score", "radius_px"))
    numbers = [name for name in wanted if name in frame]
    for name in numbers:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise ValueError(f"{path} has a cell in {name} that is no number; correct it")
    has_times = bool(frame["time_s"].notna().all()) and len(frame) > 0
    if not has_times:
        rank = pd.to_numeric(frame["image"], errors="coerce")
        rank = rank if rank.notna().all() else pd.Series(pd.factorize(frame["image"])[0])
        frame["time_s"] = _times(path, rank.to_numpy(float), fps)
    elif fps is not None:
        raise ValueError(f"{path} has a time of each frame; leave out fps")
    names = tuple(dict.fromkeys(map(text_of_cell, frame["keypoint"].astype(str))))
    times, row = np.unique(frame["time_s"].to_numpy(), return_inverse=True)
    column = pd.Index(names).get_indexer(frame["keypoint"].astype(str).map(text_of_cell))
    several = frame["animal"].nunique() > 1
    found = []
    for animal, rows in frame.groupby("animal", sort=False, dropna=False).indices.items():
        if len({*zip(row[rows], column[rows], strict=True)}) < len(rows):
            raise ValueError(
                f"{path} has a keypoint of animal {animal} twice at one time; expected one row a "
                "keypoint, frame and animal"
            )
        cells = {}
        for name in numbers[1:]:
            cells[name] = np.full((len(times), len(names)), np.nan)
            cells[name][row[rows], column[rows]] = frame[name].to_numpy(float)[rows]
        xy = np.stack([cells[x], cells[y]], axis=-1)
        scores, radii = (
            cells[name] if np.isfinite(cells.get(name, np.nan)).any() else None
            for name in ("score", "radius_px")
        )
        image_xy = np.stack([cells["x_px"], cells["y_px"]], axis=-1) if is_moved else None
        label = str(animal) * several
        found.append(_cut(KeypointTable(times, names, xy, scores, radii, label, image_xy)))
    return found


def _cut(table: KeypointTable) -> KeypointTable:
    """The table from the first frame with the animal to the last."""
    given = np.flatnonzero(np.isfinite(table.xy).any(axis=(1, 2)))
    part = slice(given[0], given[-1] + 1) if len(given) else slice(0)
    scores, radii, image_xy = (
        None if each is None else each[part] for each in (table.scores, table.radii, table.image_xy)
    )
    return KeypointTable(
        table.times_s[part], table.names, table.xy[part], scores, radii, table.animal, image_xy
    )


def _deeplabcut(path: Path, fps: float | None) -> list[KeypointTable]:
    from equikpt.data_tools.convert.deeplabcut_tables import read_csv_table, read_h5_table

    frame = read_csv_table(path) if path.suffix == ".csv" else read_h5_table(path)[0]
    if not isinstance(frame.columns, pd.MultiIndex) or frame.columns.nlevels not in (3, 4):
        raise ValueError(
            f"{path} has other columns than scorer, individuals, bodyparts and coords, of which "
            "individuals may be absent; expected a table of DeepLabCut"
        )
    times = _times(path, np.arange(len(frame), dtype=float), fps)
    labels = [tuple(map(str, label[1:])) for label in frame.columns]
    values = frame.to_numpy(float)
    cells = {("", *label)[-3:]: values[:, index] for index, label in enumerate(labels)}
    animals = list(dict.fromkeys(label[0] for label in cells))
    found = []
    for animal in animals:
        names = tuple(dict.fromkeys(label[1] for label in cells if label[0] == animal))
        columns = {
            coord: [cells.get((animal, name, coord)) for name in names]
            for coord in ("x", "y", "likelihood")
        }
        if any(each is None for each in (*columns["x"], *columns["y"])):
            raise ValueError(f"{path} has a body part without x or y; export it again")
        xy = np.stack([np.array(columns["x"]).T, np.array(columns["y"]).T], axis=-1)
        likelihood = columns["likelihood"]
        scores = None if any(each is None for each in likelihood) else np.array(likelihood).T
        found.append(_cut(KeypointTable(times, names, xy, scores, None, animal)))
    return found


def _sleap(path: Path, fps: float | None) -> list[KeypointTable]:
    from equikpt.data_tools.convert.sleap import load_labels

    labels = load_labels(path)
    if len(labels.videos) != 1 or len(labels.skeletons) != 1:
        raise ValueError(
            f"{path} has {len(labels.videos)} videos and {len(labels.skeletons)} skeletons; "
            "expected one of each"
        )
    names = tuple(labels.skeletons[0].node_names)
    frames = sorted(labels.labeled_frames, key=lambda frame: frame.frame_idx)
    first = frames[0].frame_idx if frames else 0
    count = frames[-1].frame_idx - first + 1 if frames else 0
    times = _times(path, first + np.arange(count, dtype=float), fps)
    found: dict[str, np.ndarray] = {}
    for frame in frames:
        for rank, item in enumerate(frame.instances, start=1):
            track = getattr(item.track, "name", "") or f"animal{rank}"
            cells = found.setdefault(track, np.full((count, len(names), 3), np.nan))
            points = np.asarray(item.numpy(), float)
            scores = _point_scores(item, len(names))
            cells[frame.frame_idx - first] = np.column_stack([points, scores])
    several = len(found) > 1
    tables: Sequence[KeypointTable] = [
        KeypointTable(
            times,
            names,
            cells[..., :2],
            cells[..., 2] if np.isfinite(cells[..., 2]).any() else None,
            None,
            track * several,
        )
        for track, cells in found.items()
    ]
    return [_cut(table) for table in tables]


def _point_scores(item: object, count: int) -> np.ndarray:
    points = getattr(item, "points", None)
    if points is None or "score" not in (getattr(points, "dtype", np.dtype([])).names or ()):
        return np.full(count, np.nan)
    return np.asarray(points["score"], float)
