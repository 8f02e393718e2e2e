"""Mistakes in the labels of ruler marks: each radiograph is compared with the rest of its set."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from equikpt.core.coco.checks import is_number, load_valid_rows
from equikpt.core.image_checks import loaded_size_px
from equikpt.core.image_decoding import DICOM_SUFFIXES
from equikpt.core.issues import Issue, Subject, format_examples
from equikpt.core.label_studio import Percent, Task, is_list, read_tasks
from equikpt.core.radiograph import read_gray, read_radiograph
from equikpt.data_tools.near_duplicates import read_once
from equikpt.data_tools.verify.limbs import MAD_TO_SIGMA
from equikpt.metainfo.p1p2 import MARKS
from equikpt.visualization.pose import contact_sheet
from equikpt.visualization.rulers import LABELS_PX, draw_ruler_labels
from equikpt_runtime.cells import csv_text
from equikpt_runtime.drawing import write_image
from equikpt_runtime.files import write_text

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", *DICOM_SUFFIXES)

# A set whose marks are equally far apart has no spread, so that any rounding would be an outlier.
MIN_SPREAD = {"distance": 0.005, "angle": 0.5}
"""Smallest sigma: a fraction of the median distance (clicks of half a pixel), and degrees."""

WEIGHTS = dict(
    mark_missing=100.0, mark_doubled=90.0, mark_outside=80.0, marks_swapped=70.0,
    labelled_turned=60.0, radiograph_size=55.0, radiograph_duplicate=50.0,
    radiograph_unreadable=45.0, radiograph_missing=40.0, unknown_label=35.0, not_labelled=30.0,
    several_annotations=10.0,
)  # fmt: skip
"""Rank of each issue in the list of radiographs, larger first; outliers come by their z."""
MAX_Z_COUNTED = 59.0

COLUMNS = (
    "radiograph", "task", "severity", "mistakes", "distance", "unit", "angle_deg", "z_distance",
    "z_angle", *(f"{name}_{axis}_percent" for name in MARKS for axis in "xy"),
)  # fmt: skip


@dataclass
class Radiograph:
    """A radiograph of the set: its task, its file and its issues.

    Args:
        task: The labels; None for an image that no task names.
        path: The image; None where there is none.
        size_px: Width and height of the image, or as the export states them.
        measures: ``distance`` of the marks, and ``angle`` of the line from p1 to p2 against the
            vertical in degrees, clockwise; empty without one of each.
        unit: Of the distance: px, or ``%`` of width and height where a size is not known.
        z: Robust z of the measures.
    """

    name: str
    task: Task | None = None
    path: Path | None = None
    size_px: tuple[int, int] | None = None
    measures: dict[str, float] = field(default_factory=dict)
    unit: str = "px"
    issues: list[Issue] = field(default_factory=list)
    z: dict[str, float] = field(default_factory=dict)

    @property
    def severity(self) -> float:
        """Sum over the issues; 0 without any."""
        return sum(WEIGHTS.get(each.code, min(MAX_Z_COUNTED, each.score)) for each in self.issues)

    def add(self, code: str, message: str, score: float = 0.0) -> None:
        """Add an issue of this radiograph."""
        self.issues.append(Issue(code, message, subject=Subject(image=self.name), score=score))


def read_labels(path: str | Path) -> list[Task]:
    """Tasks of a Label Studio export, or the annotations of a COCO JSON in that form.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is neither.
    """
    if is_list(path):
        return read_tasks(path)
    content = load_valid_rows(Path(path))
    images = {row["id"]: row for row in content["images"]}
    sizeless = [
        row["file_name"]
        for row in images.values()
        if not all(is_number(row.get(side)) and row[side] > 0 for side in ("width", "height"))
    ]
    if sizeless:
        shown = format_examples(sizeless)
        raise ValueError(f"{path} has images without width or height ({shown}); write them in px")
    points: dict[int, dict[str, tuple[Percent, ...]]] = defaultdict(dict)
    for annotation in content["annotations"]:
        image, found = images[annotation["image_id"]], points[annotation["image_id"]]
        rows = np.asarray(annotation.get("keypoints") or [], dtype=float).reshape(-1, 3)
        for name, (x, y, visibility) in zip(MARKS, rows, strict=False):
            if visibility > 0:
                percent = (100 * x / image["width"], 100 * y / image["height"])
                found[name] = (*found.get(name, ()), percent)
    return [
        Task(id_, row["file_name"], points[id_], (row["width"], row["height"]))
        for id_, row in images.items()
    ]


def examine(
    tasks: Sequence[Task], images: Path | None = None, largest_z: float = 5.0
) -> list[Radiograph]:
    """Find the issues of every radiograph of a set.

    Args:
        tasks: Of :func:`read_labels`.
        images: Folder with the images. Without it, images are neither looked for nor compared.
        largest_z: Robust z, of distance or angle, from which a radiograph is an outlier.

    Returns:
        A radiograph for each task, and one for each image that no task names, worst first.

    Raises:
        FileNotFoundError: ``images`` is no folder.
    """
    if images is not None and not images.is_dir():
        raise FileNotFoundError(f"expected a folder of images at {images}, there is none")
    labelled = [_of_task(task, images) for task in tasks]
    unit = "px" if all(each.size_px for each in labelled) else "%"  # one, to compare distances
    for radiograph, task in zip(labelled, tasks, strict=True):
        _check_task(radiograph, task)
        _measure(radiograph, task, unit)
    others: list[Radiograph] = []
    if images is not None:
        found = {each for each in images.rglob("*") if each.suffix.lower() in IMAGE_SUFFIXES}
        for path in sorted(found - {each.path for each in labelled}):
            others.append(Radiograph(str(path.relative_to(images)), path=path))
            others[-1].add("not_labelled", "an image without a task")
    measured = [each for each in labelled if each.measures]
    for quantity in MIN_SPREAD if measured else ():
        _find_outliers(measured, quantity, largest_z)
    _find_duplicates([*labelled, *others])
    return sorted([*labelled, *others], key=lambda radiograph: -radiograph.severity)


def _of_task(task: Task, images: Path | None) -> Radiograph:
    radiograph = Radiograph(task.file_name, task, size_px=task.size_px)
    if images is None:
        return radiograph
    radiograph.path = next((images / n for n in task.names_on_disk if (images / n).is_file()), None)
    if radiograph.path is None:
        radiograph.add("radiograph_missing", f"no image of that name in {images}")
        return radiograph
    try:
        radiograph.size_px = loaded_size_px(str(radiograph.path))
    except OSError as error:
        radiograph.add("radiograph_unreadable", " ".join(str(error).split()))
        return radiograph
    if task.size_px and task.size_px != radiograph.size_px:
        stated, found = (f"{w} × {h} px" for w, h in (task.size_px, radiograph.size_px))
        radiograph.add("radiograph_size", f"labelled as {stated}, the image is {found}")
    return radiograph


def _check_task(radiograph: Radiograph, task: Task) -> None:
    """Mistakes that the labels of one radiograph show without the others."""
    if not task.points:
        radiograph.add("not_labelled", "a task without labels")
        return
    for name in MARKS:
        found = task.points.get(name, ())
        if not found:
            radiograph.add("mark_missing", f"no {name}")
        if len(found) > 1:
            radiograph.add("mark_doubled", f"{len(found)} × {name}")
        for x, y in found:
            if not (0 <= x <= 100 and 0 <= y <= 100):
                radiograph.add("mark_outside", f"{name} at {x:.1f} %, {y:.1f} %")
    for name in sorted(set(task.points) - set(MARKS)):
        radiograph.add("unknown_label", f"a point named '{name}'")
    if task.rotation:
        radiograph.add("labelled_turned", f"labelled turned by {task.rotation:g}°")
    if task.annotations > 1:
        radiograph.add("several_annotations", f"labelled {task.annotations} times")


def _measure(radiograph: Radiograph, task: Task, unit: str) -> None:
    """Distance and angle of the marks, where there is one of each."""
    lower, upper = (task.points.get(name, ()) for name in MARKS)
    if len(lower) != 1 or len(upper) != 1:
        return
    radiograph.unit = unit
    size = radiograph.size_px if unit == "px" and radiograph.size_px else (100, 100)
    right, down = (np.array(upper[0]) - np.array(lower[0])) * np.array(size) / 100
    angle_deg = math.degrees(math.atan2(right, -down))
    radiograph.measures = dict(distance=float(np.hypot(right, down)), angle=angle_deg)
    if down > 0:
        radiograph.add("marks_swapped", "p1, the lower end, is above p2")


def _find_outliers(measured: Sequence[Radiograph], quantity: str, largest_z: float) -> None:
    """Robust z of a quantity over the set: the median and the median absolute deviation."""
    values = np.array([radiograph.measures[quantity] for radiograph in measured])
    median = float(np.median(values))
    least = MIN_SPREAD[quantity] * (median if quantity == "distance" else 1)
    sigma = max(MAD_TO_SIGMA * float(np.median(np.abs(values - median))), least)
    for radiograph, value in zip(measured, values, strict=True):
        z = radiograph.z[quantity] = float((value - median) / sigma)
        if abs(z) > largest_z:
            unit = f" {radiograph.unit}" if quantity == "distance" else "°"
            message = f"{quantity} {value:.1f}{unit}, the set has {median:.1f}{unit} ({z:+.1f} σ)"
            radiograph.add(f"{quantity}_outlier", message, abs(z))


def _find_duplicates(radiographs: Sequence[Radiograph]) -> None:
    """Images of the same pixels, whatever their names, formats and metadata."""
    present = [
        (radiograph, str(radiograph.path))
        for radiograph in radiographs
        if radiograph.path is not None
        and all(issue.code != "radiograph_unreadable" for issue in radiograph.issues)
    ]
    digests = read_once((path for _, path in present), _digest)
    same: dict[str, list[Radiograph]] = defaultdict(list)
    for radiograph, path in present:
        digest = digests[path]
        if isinstance(digest, Exception):
            radiograph.add("radiograph_unreadable", " ".join(str(digest).split()))
        else:
            same[digest].append(radiograph)
    for group in same.values():
        for radiograph in group if len(group) > 1 else ():
            others = ", ".join(other.name for other in group if other is not radiograph)
            radiograph.add("radiograph_duplicate", f"the same image as {others}")


def _digest(path: str) -> str | OSError | ValueError:
    try:
        pixels = read_gray(path)
    except (OSError, ValueError) as error:
        return error
    return hashlib.sha256(pixels.tobytes() + str((pixels.shape, pixels.dtype)).encode()).hexdigest()


def summary(radiographs: Sequence[Radiograph]) -> list[str]:
    """Lines for the terminal: figures of the set, then the number of each issue."""
    tasks = [each for each in radiographs if each.task is not None]
    measured = [each for each in tasks if each.measures]
    suspects = [each for each in radiographs if each.issues]
    lines = [f"{len(tasks)} tasks, {len(measured)} with both marks"]
    for quantity, unit in (
        (("distance", f" {measured[0].unit}"), ("angle", "°")) if measured else ()
    ):
        values = [each.measures[quantity] for each in measured]
        low, middle, high = np.percentile(values, [0, 50, 100])
        lines.append(f"{quantity}: median {middle:.2f}{unit}, from {low:.2f} to {high:.2f}")
    counts = Counter(title for each in suspects for title in {i.title for i in each.issues})
    lines += [f"{count:5d}  {title}" for title, count in counts.most_common()]
    lines.append(f"{len(suspects)} of {len(radiographs)} radiographs need a look")
    return lines


def to_csv(suspects: Iterable[Radiograph]) -> str:
    """The suspects as CSV, in their order."""
    rows: list[Sequence] = [COLUMNS]
    for each in suspects:
        points = each.task.points if each.task else {}
        firsts = [points[name][0] if points.get(name) else ("", "") for name in MARKS]
        distance, angle, *z = (
            f"{figures[quantity]:.3f}" if quantity in figures else ""
            for figures in (each.measures, each.z)
            for quantity in ("distance", "angle")
        )
        mistakes = "; ".join(issue.sentence for issue in each.issues)
        head = (each.name, each.task.number if each.task else "", f"{each.severity:.1f}", mistakes)
        rows.append([*head, distance, each.unit, angle, *z, *firsts[0], *firsts[1]])
    return csv_text(rows)


def write_report(suspects: Sequence[Radiograph], folder: Path) -> list[Path]:
    """Write ``suspects.csv`` and, where there are images, ``suspects.jpg``; return the files."""
    written, image = [folder / "suspects.csv"], sheet(suspects)
    write_text(written[0], to_csv(suspects))
    if image is not None:
        written.append(folder / "suspects.jpg")
        write_image(written[1], image)
    return written


def sheet(suspects: Sequence[Radiograph], shown: int = 24) -> np.ndarray | None:
    """The first suspects that have an image, cut out around their marks; None without any.

    Returns:
        (H, W, 3) uint8, BGR.
    """
    cells, captions = [], []
    for each in [each for each in suspects if each.path is not None][:shown]:
        points = each.task.points if each.task else {}
        try:
            cells.append(draw_ruler_labels(read_radiograph(str(each.path)), points))
        except (OSError, ValueError):
            continue
        captions.append(f"{each.name}: {each.issues[0].sentence}")
    if not cells:
        return None
    return contact_sheet(cells, captions=captions, cell_px=(LABELS_PX, LABELS_PX))
