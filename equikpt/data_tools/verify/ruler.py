"""Mistakes in the labels of ruler marks: each radiograph is compared with the rest of its set."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

import numpy as np
from tqdm import tqdm

from equikpt.core.coco.checks import is_number, load_valid_rows
from equikpt.core.image_checks import loaded_size_px
from equikpt.core.image_decoding import DICOM_SUFFIXES
from equikpt.core.issues import Issue, Subject, format_examples
from equikpt.core.label_studio import Percent, Task, is_list, read_tasks
from equikpt.core.radiograph import read_gray
from equikpt.data_tools.verify.limbs import MAD_TO_SIGMA
from equikpt.metainfo.p1p2 import MARKS

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", *DICOM_SUFFIXES)

# A set whose marks are equally far apart has no spread, so that any rounding would be an outlier.
MIN_SPREAD = {"distance": 0.005, "angle": 0.5}
"""Smallest sigma: a share of the median distance (clicks of half a pixel), and degrees."""

WEIGHTS = {
    "mark_missing": 100.0,
    "mark_doubled": 90.0,
    "mark_outside": 80.0,
    "marks_swapped": 70.0,
    "labelled_turned": 60.0,
    "radiograph_size": 55.0,
    "radiograph_duplicate": 50.0,
    "radiograph_unreadable": 45.0,
    "radiograph_missing": 40.0,
    "unknown_label": 35.0,
    "not_labelled": 30.0,
    "several_annotations": 10.0,
}
"""Rank of each issue in the list of radiographs, larger first; outliers come by their z."""
MAX_Z_COUNTED = 59.0


@dataclass
class Radiograph:
    """A radiograph of the set: its task, its file and its issues.

    Args:
        task: The labels; None for an image that no task names.
        path: The image; None where there is none.
        size_px: Width and height of the image, or as the export states them.
        unit: ``px``, or ``%`` of width and height where a size is not known.
        distance: Between the marks, in ``unit``; None without one of each.
        angle_deg: Of the line from p1 to p2 against the vertical, clockwise; 0 is straight up.
        issues: Everything that is wrong with it.
        z: Robust z of distance and angle.
    """

    name: str
    task: Task | None = None
    path: Path | None = None
    size_px: tuple[int, int] | None = None
    unit: str = "px"
    distance: float | None = None
    angle_deg: float | None = None
    issues: list[Issue] = field(default_factory=list)
    z: dict[str, float] = field(default_factory=dict)

    @property
    def severity(self) -> float:
        """Sum over the issues; 0 without any."""
        return sum(
            WEIGHTS.get(issue.code, min(MAX_Z_COUNTED, issue.score)) for issue in self.issues
        )

    def add(self, code: str, message: str, score: float = 0.0) -> None:
        """Add an issue of this radiograph."""
        self.issues.append(Issue(code, message, subject=Subject(image=self.name), score=score))


def read_labels(path: str | Path) -> list[Task]:
    """Tasks of a Label Studio export, or the annotations of a COCO JSON in that form.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is neither.
    """
    return read_tasks(path) if is_list(path) else _tasks_of_coco(path)


def _tasks_of_coco(path: str | Path) -> list[Task]:
    content = load_valid_rows(Path(path))
    sizeless = [
        row["file_name"]
        for row in content["images"]
        if not all(is_number(row.get(side)) and row[side] > 0 for side in ("width", "height"))
    ]
    if sizeless:
        shown = format_examples(sizeless)
        raise ValueError(f"{path} has images without width or height ({shown}); write them in px")
    labels: dict[int, list[dict]] = defaultdict(list)
    for annotation in content["annotations"]:
        labels[annotation["image_id"]].append(annotation)
    tasks = []
    for image in content["images"]:
        width, height = image["width"], image["height"]
        points: dict[str, list[Percent]] = defaultdict(list)
        for annotation in labels[image["id"]]:
            rows = np.asarray(annotation.get("keypoints") or [], dtype=float).reshape(-1, 3)
            for name, (x, y, visibility) in zip(MARKS, rows, strict=False):
                if visibility > 0:
                    points[name].append((100 * x / width, 100 * y / height))
        tasks.append(
            Task(
                image["id"],
                image["file_name"],
                {name: tuple(found) for name, found in points.items()},
                (width, height),
            )
        )
    return tasks


def examine(
    tasks: Sequence[Task], images: Path | None = None, largest_z: float = 5.0
) -> list[Radiograph]:
    """Find the issues of every radiograph of a set.

    Args:
        tasks: What :func:`read_labels` returned.
        images: Folder with the images. Without it, images are neither looked for nor compared.
        largest_z: Robust z, of distance or angle, from which a radiograph is an outlier.

    Returns:
        A radiograph for each task, and one for each image that no task names, worst first.

    Raises:
        FileNotFoundError: ``images`` is no folder.
    """
    if images is not None and not images.is_dir():
        raise FileNotFoundError(f"expected a folder of images at {images}, there is none")
    radiographs = [_of_task(task, images) for task in tasks]
    if images is not None:
        known = {each.path for each in radiographs}
        for path in sorted(images.rglob("*")):
            if path.suffix.lower() in IMAGE_SUFFIXES and path not in known:
                radiographs.append(Radiograph(str(path.relative_to(images)), path=path))
                radiographs[-1].add("not_labelled", "an image without a task")
    # One unit for all, so that distances can be compared.
    unit = "px" if all(each.size_px for each in radiographs if each.task) else "%"
    for radiograph in radiographs:
        if radiograph.task is not None:
            _check_task(radiograph, radiograph.task)
            _measure(radiograph, radiograph.task, unit)
    _find_outliers(radiographs, "distance", largest_z)
    _find_outliers(radiographs, "angle", largest_z)
    _find_duplicates(radiographs)
    return sorted(radiographs, key=lambda radiograph: -radiograph.severity)


def _of_task(task: Task, images: Path | None) -> Radiograph:
    radiograph = Radiograph(task.file_name, task, size_px=task.size_px)
    if images is None:
        return radiograph
    radiograph.path = next((images / n for n in task.names_on_disk if (images / n).is_file()), None)
    if radiograph.path is None:
        radiograph.add("radiograph_missing", f"no image of that name in {images}")
        return radiograph
    try:
        size_px = loaded_size_px(str(radiograph.path))
    except OSError as error:
        radiograph.add("radiograph_unreadable", " ".join(str(error).split()))
        return radiograph
    if task.size_px and task.size_px != size_px:
        message = f"labelled as {_by(task.size_px)}, the image is {_by(size_px)}"
        radiograph.add("radiograph_size", message)
    radiograph.size_px = size_px
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
    size = radiograph.size_px if unit == "px" and radiograph.size_px else (100, 100)
    along = (np.array(upper[0]) - np.array(lower[0])) * np.array(size) / 100
    radiograph.unit = unit
    radiograph.distance = float(np.hypot(*along))
    radiograph.angle_deg = math.degrees(math.atan2(along[0], -along[1]))
    if along[1] > 0:
        radiograph.add("marks_swapped", "p1, the lower end, is above p2")


def _find_outliers(radiographs: Iterable[Radiograph], quantity: str, largest_z: float) -> None:
    """Robust z of a quantity over the set: the median and the median absolute deviation."""
    read = attrgetter("distance" if quantity == "distance" else "angle_deg")
    measured = [radiograph for radiograph in radiographs if read(radiograph) is not None]
    if not measured:
        return
    values = np.array([read(radiograph) for radiograph in measured])
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
    same: dict[str, list[Radiograph]] = defaultdict(list)
    present = [
        (radiograph, radiograph.path)
        for radiograph in radiographs
        if radiograph.path is not None
        and all(issue.code != "radiograph_unreadable" for issue in radiograph.issues)
    ]
    for radiograph, path in tqdm(
        present, desc="comparing images", unit="img", delay=5, disable=None
    ):
        try:
            pixels = read_gray(path)
        except (OSError, ValueError) as error:
            radiograph.add("radiograph_unreadable", " ".join(str(error).split()))
            continue
        digest = hashlib.sha256(pixels.tobytes())
        digest.update(str((pixels.shape, pixels.dtype)).encode())
        same[digest.hexdigest()].append(radiograph)
    for group in same.values():
        for radiograph in group if len(group) > 1 else ():
            others = ", ".join(other.name for other in group if other is not radiograph)
            radiograph.add("radiograph_duplicate", f"the same image as {others}")


def _by(size_px: tuple[int, int]) -> str:
    return f"{size_px[0]} × {size_px[1]} px"
