"""Issues of ruler labels: a summary, a CSV, and a sheet of images to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from equikpt.core.files import write_bytes, write_text
from equikpt.core.radiograph import read_radiograph
from equikpt.core.tables import csv_text
from equikpt.data_tools.verify.ruler import Radiograph
from equikpt.metainfo.p1p2 import MARKS
from equikpt.visualization.pose import contact_sheet, zoom_in

COLUMNS = (
    "radiograph", "task", "severity", "mistakes", "distance", "unit", "angle_deg", "z_distance",
    "z_angle", *(f"{name}_{axis}_percent" for name in MARKS for axis in "xy"),
)  # fmt: skip

COLORS_BGR = {"p1": (80, 220, 80), "p2": (60, 160, 255)}
CELL_PX = 320


def summary(radiographs: Sequence[Radiograph]) -> list[str]:
    """Lines for the terminal: figures of the set, then the number of each issue."""
    tasks = [each for each in radiographs if each.task is not None]
    suspects = [each for each in radiographs if each.issues]
    distances = [each.distance for each in tasks if each.distance is not None]
    angles = [each.angle_deg for each in tasks if each.angle_deg is not None]
    lines = [f"{len(tasks)} tasks, {len(distances)} with both marks"]
    if distances:
        unit = next(each.unit for each in tasks if each.distance is not None)
        for name, values, sign in (
            ("distance", distances, f" {unit}"),
            ("angle", angles, "°"),
        ):
            low, middle, high = np.percentile(values, [0, 50, 100])
            lines.append(f"{name}: median {middle:.2f}{sign}, from {low:.2f} to {high:.2f}")
    counts = Counter(title for each in suspects for title in {i.title for i in each.issues})
    lines += [f"{count:5d}  {title}" for title, count in counts.most_common()]
    lines.append(f"{len(suspects)} of {len(radiographs)} radiographs need a look")
    return lines


def to_csv(suspects: Sequence[Radiograph]) -> str:
    """The suspects as CSV, in their order."""
    rows: list[Sequence] = [COLUMNS]
    for each in suspects:
        points = each.task.points if each.task else {}
        firsts = [points[name][0] if points.get(name) else ("", "") for name in MARKS]
        rows.append(
            [
                each.name,
                each.task.number if each.task else "",
                f"{each.severity:.1f}",
                "; ".join(issue.sentence for issue in each.issues),
                *(_rounded(each.distance), each.unit, _rounded(each.angle_deg)),
                *(_rounded(each.z.get(quantity)) for quantity in ("distance", "angle")),
                *(value for point in firsts for value in point),
            ]
        )
    return csv_text(rows)


def write_report(suspects: Sequence[Radiograph], folder: Path) -> list[Path]:
    """Write ``suspects.csv`` and, where there are images, ``suspects.jpg``.

    Returns:
        What was written.
    """
    table = folder / "suspects.csv"
    write_text(table, to_csv(suspects))
    image = sheet(suspects)
    if image is None:
        return [table]
    encoded = cv2.imencode(".jpg", image)[1]
    write_bytes(folder / "suspects.jpg", encoded.tobytes())
    return [table, folder / "suspects.jpg"]


def sheet(suspects: Sequence[Radiograph], shown: int = 24) -> np.ndarray | None:
    """The worst suspects that have an image, cut out around their marks; None without any.

    Args:
        suspects: Worst first.
        shown: Number of images at most.

    Returns:
        (H, W, 3) uint8, BGR.
    """
    paths = [(each, each.path) for each in suspects if each.path is not None][:shown]
    images = [(each, _read(path)) for each, path in paths]
    readable = [(each, image) for each, image in images if image is not None]
    if not readable:
        return None
    captions = [f"{each.name}: {each.issues[0].sentence}" for each, _ in readable]
    cells = [_cut_out(each, image) for each, image in readable]
    return contact_sheet(cells, captions=captions, cell_px=(CELL_PX, CELL_PX))


def _cut_out(radiograph: Radiograph, image: np.ndarray) -> np.ndarray:
    """The surroundings of the marks, enlarged, with the marks drawn; else the whole image."""
    height, width = image.shape[:2]
    points = [
        (name, np.array(point) / 100 * (width, height))
        for name, found in (radiograph.task.points if radiograph.task else {}).items()
        for point in found
    ]
    if not points:
        return image
    coords = np.array([xy for _, xy in points])
    cell, placed = zoom_in(image, coords, CELL_PX, 0.05 * height)
    for (name, _), xy in zip(points, placed, strict=True):
        centre = tuple(int(v) for v in np.round(xy))
        color = COLORS_BGR.get(name, (200, 200, 200))
        cv2.drawMarker(cell, centre, color, cv2.MARKER_CROSS, 14, 1, cv2.LINE_AA)
        beside = (centre[0] + 8, centre[1] - 6)
        cv2.putText(cell, name, beside, cv2.FONT_HERSHEY_SIMPLEX, 0.45, color, 1, cv2.LINE_AA)
    return cell


def _read(path: Path) -> np.ndarray | None:
    try:
        return read_radiograph(path)
    except (OSError, ValueError):
        return None


def _rounded(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
