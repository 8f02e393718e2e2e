"""Tables of smoothed poses: the csv with all there is, and files of other programs.

Other programs' files have the smoothed points. Their score is the model's where the point was
measured and 0 where it was filled or stands for an outlier.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from decimal import Decimal
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from equikpt.tracks.paths import MEASURED, STATUS, Pose
from equikpt_runtime.cells import CsvTable, text_of_cell
from equikpt_runtime.clips import Clip
from equikpt_runtime.instance import Instance
from equikpt_runtime.tables import PLAIN_COLUMNS, CocoFile, DeepLabCutTable

SMOOTH_COLUMNS = ("smooth_x_px", "smooth_y_px", "smooth_radius_px", "status")
STILL_COLUMNS = ("still_x_px", "still_y_px")
TIME_DIGITS = 6
STILL_DIGITS = 2
ROWS = 100_000
"""Rows of a table that are in memory at once."""


class Table(Protocol):
    """File that takes the animals of one frame after the other, in a ``with`` block."""

    def add(self, number: int, poses: Sequence[Pose], time_s: float) -> None:
        """Append a frame."""
        ...


class TrackTable(CsvTable):
    """The csv: a row a keypoint, with the columns of ``PlainTable`` and those of the path.

    ``x_px`` and ``y_px`` are what the model saw. A row that it saw nothing for is ``filled``.

    Args:
        path: File.
        names: Of the K keypoints.
        moves: True where poses have points in the stabilised frame.
    """

    def __init__(self, path: Path, names: Sequence[str], moves: bool) -> None:
        self._names, self._moves = names, moves
        self._all = (*PLAIN_COLUMNS, *SMOOTH_COLUMNS, *(STILL_COLUMNS if moves else ()))
        super().__init__(path, self._all)

    def add_frame(self, number: int, poses: Sequence[Pose], time_s: float) -> None:
        """Append a frame with its animals."""
        rows = []
        for pose in poses:
            x, y, score, *extras = pose.points.T.tolist()
            smooth, radius = pose.smooth.tolist(), pose.radius.tolist()
            box, status = pose.box.tolist(), pose.status.tolist()
            shown = np.isfinite(pose.points[:, 0]) | np.isfinite(pose.smooth[:, 0])
            for k in np.flatnonzero(shown).tolist():
                row: tuple[Any, ...] = (
                    number,
                    _exact(time_s, TIME_DIGITS),
                    pose.track,
                    self._names[k],
                )
                row += (x[k], y[k], score[k], *box, *(each[k] for each in extras))
                row += (*smooth[k], radius[k], STATUS[status[k]])
                if self._moves and pose.still is not None:
                    row += tuple(_exact(value, STILL_DIGITS) for value in pose.still[k].tolist())
                rows.append(dict(zip(self._all, row, strict=True)))
        self.add(*rows)


def _exact(value: float, digits: int) -> Decimal | None:
    """A number with its decimals, however large it is; None for NaN."""
    return None if np.isnan(value) else Decimal(f"{value:.{digits}f}")


def as_instance(pose: Pose, gap_score: float = 0.0) -> Instance:
    """Return a pose as an instance of its smoothed points; those in gaps have a given score."""
    score, radius, presence, seen = pose.points[:, 2:].T
    taken = pose.status == MEASURED
    box = pose.box[:4]
    if not np.isfinite(box).all() and np.isfinite(pose.smooth).any():
        ends = np.nanmin(pose.smooth, axis=0), np.nanmax(pose.smooth, axis=0)
        box = np.concatenate(ends)
    given = np.isfinite(pose.smooth).all(axis=1)
    scores = np.where(given, np.where(taken, score, gap_score), 0.0)
    return Instance(
        pose.smooth,
        scores,
        box,
        float(pose.box[4]) if np.isfinite(pose.box[4]) else 1.0,
        pose.track,
        radius=pose.radius if np.isfinite(radius).any() else None,
        presence=presence if np.isfinite(presence).all() else None,
        seen=seen if np.isfinite(seen).all() else None,
    )


class _Instances(AbstractContextManager):
    """A table of instances as a :class:`Table`."""

    def __init__(self, table: Any, **settings: Any) -> None:
        self._table, self._settings = table, settings

    def add(self, number: int, poses: Sequence[Pose], time_s: float) -> None:
        """Append a frame."""
        self._table.add(number, [as_instance(pose) for pose in poses], time_s, **self._settings)

    def __exit__(self, kind: Any, *rest: Any) -> None:
        self._table.__exit__(kind, *rest)


class SleapFile(AbstractContextManager):
    """SLEAP's file, of predicted instances with tracks.

    All points are in memory until the end of the ``with`` block.

    Args:
        path: ``.slp``.
        names: Of the K keypoints.
        links: Pairs of their numbers.
        clip: The video.
    """

    def __init__(
        self, path: Path, names: Sequence[str], links: Sequence[Sequence[int]], clip: Clip
    ) -> None:
        import sleap_io

        self._sleap, self.path, self._clip = sleap_io, path, clip
        nodes = [sleap_io.Node(name) for name in names]
        edges = [sleap_io.Edge(nodes[start], nodes[end]) for start, end in links]
        self._skeleton = sleap_io.Skeleton(nodes, edges, name="equikpt")
        self._video = sleap_io.Video(str(clip.path.resolve()), open_backend=False)
        self._tracks: dict[int, Any] = {}
        self._frames: list[Any] = []

    def add(self, number: int, poses: Sequence[Pose], time_s: float) -> None:
        """Append a frame."""
        found = []
        for each in map(as_instance, poses):
            track = self._tracks.setdefault(
                each.track or 0, self._sleap.Track(f"animal{each.track}")
            )
            scores = np.nan_to_num(each.scores)
            found.append(
                self._sleap.PredictedInstance.from_numpy(
                    np.asarray(each.keypoints, float),
                    self._skeleton,
                    scores,
                    float(scores.mean()),
                    track,
                    1.0,
                )
            )
        if found:
            self._frames.append(self._sleap.LabeledFrame(self._video, number, found))

    def __exit__(self, kind: Any, *rest: Any) -> None:
        if kind is not None:
            return
        labels = self._sleap.Labels(
            self._frames,
            videos=[self._video],
            skeletons=[self._skeleton],
            tracks=[*self._tracks.values()],
        )
        self._sleap.save_slp(labels, str(self.path), verbose=False)


class NwbFile(AbstractContextManager):
    """NWB's file with the ndx-pose extension: a ``PoseEstimation`` an animal, with each time.

    Of several animals these are named ``animal1``, ``animal2``, …. Arguments are those of
    :class:`SleapFile`, which would write whole frame rates alone; all points are in memory.
    """

    def __init__(
        self, path: Path, names: Sequence[str], links: Sequence[Sequence[int]], clip: Clip
    ) -> None:
        self.path, self._names, self._links, self._clip = path, list(names), links, clip
        self._times_s: list[float] = []
        self._rows: dict[int, list[tuple[int, np.ndarray]]] = {}

    def add(self, number: int, poses: Sequence[Pose], time_s: float) -> None:
        """Append a frame."""
        self._times_s.append(time_s)
        for each in map(as_instance, poses):
            values = np.column_stack([each.keypoints, each.scores])
            self._rows.setdefault(each.track or 0, []).append((number, values))

    def __exit__(self, kind: Any, *rest: Any) -> None:
        if kind is not None:
            return
        from ndx_pose import PoseEstimation, PoseEstimationSeries, Skeleton, Skeletons
        from pynwb import NWBHDF5IO, NWBFile

        edges = np.array(self._links, np.uint8).reshape(-1, 2)
        skeleton = Skeleton(name="equikpt", nodes=self._names, edges=edges)
        filmed = datetime.fromtimestamp(self._clip.path.stat().st_mtime, timezone.utc)
        file = NWBFile(
            session_description=f"keypoints of {self._clip.path.name}",
            identifier=f"{self._clip.path.name} {filmed.isoformat()}",
            session_start_time=filmed,
        )
        module = file.create_processing_module("behavior", "keypoints by equikpt")
        module.add(Skeletons(skeletons=[skeleton]))
        times = np.array(self._times_s)
        for number, rows in self._rows.items():
            values = np.full((len(times), len(self._names), 3), np.nan)
            values[[frame for frame, _ in rows]] = [points for _, points in rows]
            series = [
                PoseEstimationSeries(
                    name=name,
                    description="smoothed",
                    data=values[:, k, :2],
                    unit="pixels",
                    reference_frame="the corner of the upper left pixel",
                    timestamps=times,
                    confidence=np.nan_to_num(values[:, k, 2]),
                    confidence_definition="score; 0 where filled or in place of an outlier",
                )
                for k, name in enumerate(self._names)
            ]
            module.add(
                PoseEstimation(
                    name="PoseEstimation" if len(self._rows) == 1 else f"animal{number}",
                    pose_estimation_series=series,
                    source_software="equikpt",
                    skeleton=skeleton,
                )
            )
        with NWBHDF5IO(str(self.path), mode="w") as io:
            io.write(file)


FORMATS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "dlc-csv": (".csv", "", ()),
    "dlc-h5": (".h5", "tables", ("tables",)),
    "slp": (".slp", "sleap-io", ("sleap_io",)),
    "coco": (".json", "", ()),
    "nwb": (".nwb", "ndx-pose", ("ndx_pose",)),
    "parquet": (".parquet", "pyarrow", ("pyarrow",)),
}
"""Formats with the suffix of their files, and the package that they need with its modules."""


def check_format(name: str) -> None:
    """Refuse a format whose library is missing, before anything is computed.

    Raises:
        ImportError: As said.
    """
    _, package, modules = FORMATS[name]
    if any(find_spec(module) is None for module in modules):
        raise ImportError(
            f"{name} needs {package}, which is not installed; run pip install {package}"
        )


def open_format(
    name: str, path: Path, names: Sequence[str], links: Sequence[Sequence[int]], clip: Clip
) -> Any:
    """Open a file of one of :data:`FORMATS`, but for parquet, as a :class:`Table`."""
    make: dict[str, Callable[[], Any]] = {
        "dlc-csv": lambda: _Instances(DeepLabCutTable(path, names)),
        "dlc-h5": lambda: _Instances(DeepLabCutTable(path, names)),
        "coco": lambda: _Instances(CocoFile(path, names, links), size_px=clip.size_px),
        "slp": partial(SleapFile, path, names, links, clip),
        "nwb": partial(NwbFile, path, names, links, clip),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    return make[name]()


def write_parquet(table: Path, path: Path) -> None:
    """Write the csv of :class:`TrackTable` as Parquet, some rows at a time."""
    import pyarrow as pa
    from pyarrow import parquet

    text = ("keypoint", "status")
    whole = ("image", "animal")
    columns = pd.read_csv(table, nrows=0).columns
    fields = [
        pa.field(
            name, pa.string() if name in text else pa.int64() if name in whole else pa.float64()
        )
        for name in columns
    ]
    types: dict[str, type] = {field.name: str if field.name in text else float for field in fields}
    types |= dict.fromkeys(whole, int)
    path.parent.mkdir(parents=True, exist_ok=True)
    with parquet.ParquetWriter(path, pa.schema(fields)) as writer:
        for rows in pd.read_csv(table, dtype=types, chunksize=ROWS):
            rows["keypoint"] = rows["keypoint"].map(text_of_cell)
            writer.write_table(pa.Table.from_pandas(rows, pa.schema(fields), preserve_index=False))
