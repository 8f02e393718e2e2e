"""What was found in ruler labels: a summary, a CSV, and a sheet of pictures to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from equikpt.core.files import write_bytes, write_text
from equikpt.core.radiograph import read_film
from equikpt.core.tables import csv_text
from equikpt.data_tools.verify.ruler import Film
from equikpt.metainfo.p1p2 import MARKS
from equikpt.visualization.pose import contact_sheet, zoom_in

COLUMNS = (
    "film", "task", "severity", "mistakes", "distance", "unit", "angle_deg", "z_distance",
    "z_angle", *(f"{name}_{axis}_percent" for name in MARKS for axis in "xy"),
)  # fmt: skip

COLOURS_BGR = {"p1": (80, 220, 80), "p2": (60, 160, 255)}
CELL_PX = 320


def summary(films: Sequence[Film]) -> list[str]:
    """Lines for the terminal: the set's own figures, then how many films have each mistake."""
    tasks = [film for film in films if film.task is not None]
    suspects = [film for film in films if film.faults]
    distances = [film.distance for film in tasks if film.distance is not None]
    angles = [film.angle_deg for film in tasks if film.angle_deg is not None]
    lines = [f"{len(tasks)} tasks, {len(distances)} with both marks"]
    if distances:
        unit = next(film.unit for film in tasks if film.distance is not None)
        for name, values, sign in (
            ("distance", distances, f" {unit}"),
            ("angle", angles, "°"),
        ):
            low, middle, high = np.percentile(values, [0, 50, 100])
            lines.append(f"{name}: median {middle:.2f}{sign}, from {low:.2f} to {high:.2f}")
    counts = Counter(kind for film in suspects for kind in {kind for kind, _ in film.faults})
    lines += [f"{count:5d}  {kind}" for kind, count in counts.most_common()]
    lines.append(f"{len(suspects)} of {len(films)} films need a look")
    return lines


def to_csv(suspects: Sequence[Film]) -> str:
    """The suspects as CSV, in their order."""
    rows: list[Sequence] = [COLUMNS]
    for film in suspects:
        points = film.task.points if film.task else {}
        firsts = [points[name][0] if points.get(name) else ("", "") for name in MARKS]
        rows.append(
            [
                film.name,
                film.task.number if film.task else "",
                f"{film.severity:.1f}",
                "; ".join(sentence for _, sentence in film.faults),
                *(_rounded(film.distance), film.unit, _rounded(film.angle_deg)),
                *(_rounded(film.z.get(quantity)) for quantity in ("distance", "angle")),
                *(value for point in firsts for value in point),
            ]
        )
    return csv_text(rows)


def write_report(suspects: Sequence[Film], folder: Path) -> list[Path]:
    """Write ``suspects.csv`` and, where there are pictures, ``suspects.jpg``.

    Returns:
        What was written.
    """
    table = folder / "suspects.csv"
    write_text(table, to_csv(suspects))
    picture = sheet(suspects)
    if picture is None:
        return [table]
    encoded = cv2.imencode(".jpg", picture)[1]
    write_bytes(folder / "suspects.jpg", encoded.tobytes())
    return [table, folder / "suspects.jpg"]


def sheet(suspects: Sequence[Film], largest: int = 24) -> np.ndarray | None:
    """The worst suspects that have a picture, cut out around their marks; None without any.

    Args:
        suspects: Worst first.
        largest: Number of pictures at most.

    Returns:
        (H, W, 3) uint8, BGR.
    """
    shown = [film for film in suspects if film.path is not None][:largest]
    pictures = [(film, _read(film.path)) for film in shown if film.path is not None]
    readable = [(film, picture) for film, picture in pictures if picture is not None]
    if not readable:
        return None
    captions = [f"{film.name}: {film.faults[0][1]}" for film, _ in readable]
    cells = [_cut_out(film, picture) for film, picture in readable]
    return contact_sheet(cells, captions=captions, cell_px=(CELL_PX, CELL_PX))


def _cut_out(film: Film, picture: np.ndarray) -> np.ndarray:
    """The surroundings of the marks, enlarged, with the marks drawn; the whole film without any."""
    height, width = picture.shape[:2]
    points = [
        (name, np.array(point) / 100 * (width, height))
        for name, found in (film.task.points if film.task else {}).items()
        for point in found
    ]
    if not points:
        return picture
    places = np.array([place for _, place in points])
    cell, placed = zoom_in(picture, places, CELL_PX, 0.05 * height)
    for (name, _), place in zip(points, placed, strict=True):
        centre = tuple(int(v) for v in np.round(place))
        colour = COLOURS_BGR.get(name, (200, 200, 200))
        cv2.drawMarker(cell, centre, colour, cv2.MARKER_CROSS, 14, 1, cv2.LINE_AA)
        beside = (centre[0] + 8, centre[1] - 6)
        cv2.putText(cell, name, beside, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
    return cell


def _read(path: Path) -> np.ndarray | None:
    try:
        return read_film(path)
    except (OSError, ValueError):
        return None


def _rounded(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
