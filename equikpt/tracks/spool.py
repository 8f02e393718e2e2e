"""Poses of a video on disk, so that a long one needs no more memory than a short one.

Letters: N instances, T frames, K keypoints.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from equikpt_runtime.instance import Instance

VALUES = ("x", "y", "score", "radius", "presence", "seen")
"""Values of a keypoint, in their order; NaN where there is none."""


class Spool:
    """A file of instances, a record each, in the order of their frames.

    Args:
        folder: Of the file, which has no name there and is gone with the ``with`` block.
        count: K keypoints.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.dtype = np.dtype(
            [
                ("frame", np.int64),
                ("track", np.int32),
                ("box", np.float32, (5,)),
                ("points", np.float32, (count, len(VALUES))),
            ]
        )
        self.times_s: list[float] = []
        """Times of the frames."""
        self._starts = [0]
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.times_s)

    def add(self, time_s: float, instances: Sequence[Instance]) -> None:
        """Append a frame with its animals, which are numbered."""
        rows = np.zeros(len(instances), self.dtype)
        rows["frame"] = len(self.times_s)
        for row, each in zip(rows, instances, strict=True):
            extras = (each.radius, each.presence, each.seen)
            nothing = np.full(len(each.scores), np.nan)
            columns = [nothing if values is None else values for values in extras]
            row["track"] = each.track or 0
            row["box"] = [*each.box, each.box_score]
            row["points"] = np.column_stack([each.keypoints, each.scores, *columns])
        self._file.write(rows.tobytes())
        self.times_s.append(time_s)
        self._starts.append(self._starts[-1] + len(rows))

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the records (N,) of the frames from ``start`` to before ``stop``."""
        first, last = self._starts[start], self._starts[stop]
        self._file.flush()
        self._file.seek(first * self.dtype.itemsize)
        content = self._file.read((last - first) * self.dtype.itemsize)
        return np.frombuffer(content, self.dtype)

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
