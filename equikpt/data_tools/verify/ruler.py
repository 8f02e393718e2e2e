"""Mistakes in the labels of ruler marks, found by comparing each film with the rest of its set."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from equikpt.core.coco.checks import is_number, named
from equikpt.core.coco.valid_rows import load_sound_rows
from equikpt.core.image_checks import loaded_size_px
from equikpt.core.label_studio import Percent, Task, is_list, read_tasks
from equikpt.core.radiograph import DICOM_SUFFIXES, read_gray
from equikpt.metainfo.p1p2 import MARKS

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", *DICOM_SUFFIXES)

MAD_TO_SIGMA = 1.4826
"""A normal distribution's standard deviation, in units of its median absolute deviation."""

# A set whose marks are equally far apart has no spread, so that any rounding would be an outlier.
LEAST_SPREAD = {"distance": 0.005, "angle": 0.5}
"""Smallest sigma: a share of the median distance (clicks of half a pixel), and degrees."""

SEVERITY = {
    "missing": 100.0,
    "doubled": 90.0,
    "outside": 80.0,
    "swapped": 70.0,
    "turned": 60.0,
    "size": 55.0,
    "duplicate": 50.0,
    "unreadable": 45.0,
    "no picture": 40.0,
    "unknown label": 35.0,
    "no labels": 30.0,
    "several annotations": 10.0,
}
"""How early in the list a film of each kind comes; outliers come by their z."""
LARGEST_Z_COUNTED = 59.0


@dataclass
class Film:
    """What is known of one film: its task, its file and what is wrong.

    Args:
        task: The labels; None for a picture that no task names.
        path: The picture; None where there is none.
        size_px: Width and height of the picture, or as the export states them.
        unit: ``px`` of the film, or ``%`` of its width and height where a size is not known.
        distance: Between the marks, in ``unit``; None without one of each.
        angle_deg: Of the line from p1 to p2 against the vertical, clockwise; 0 is straight up.
        faults: Kind and sentence of each mistake.
        z: Robust z of distance and angle.
    """

    name: str
    task: Task | None = None
    path: Path | None = None
    size_px: tuple[int, int] | None = None
    unit: str = "px"
    distance: float | None = None
    angle_deg: float | None = None
    faults: list[tuple[str, str]] = field(default_factory=list)
    z: dict[str, float] = field(default_factory=dict)

    @property
    def severity(self) -> float:
        """Sum over the mistakes; 0 for a sound film."""
        return sum(
            SEVERITY[kind] if kind in SEVERITY else min(LARGEST_Z_COUNTED, abs(self.z[kind]))
            for kind, _ in self.faults
        )


def read_labels(path: str | Path) -> list[Task]:
    """Tasks of a Label Studio export, or the annotations of a COCO JSON in that form.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is neither.
    """
    return read_tasks(path) if is_list(path) else _tasks_of_coco(path)


def _tasks_of_coco(path: str | Path) -> list[Task]:
    content = load_sound_rows(Path(path))
    sizeless = [
        row["file_name"]
        for row in content["images"]
        if not all(is_number(row.get(side)) and row[side] > 0 for side in ("width", "height"))
    ]
    if sizeless:
        raise ValueError(
            f"{path} has pictures without width or height ({named(sizeless)}); write them in px"
        )
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
) -> list[Film]:
    """Every film of a set with its mistakes, worst first.

    Args:
        tasks: What :func:`read_labels` returned.
        images: Folder with the pictures. Without it, pictures are neither looked for nor compared.
        largest_z: Robust z, of distance or angle, from which a film is an outlier.

    Returns:
        A film for each task, and one for each picture that no task names.

    Raises:
        FileNotFoundError: ``images`` is no folder.
    """
    if images is not None and not images.is_dir():
        raise FileNotFoundError(f"expected a folder of pictures at {images}, there is none")
    films = [_film(task, images) for task in tasks]
    if images is not None:
        named = {film.path for film in films}
        films += [
            Film(
                str(path.relative_to(images)),
                path=path,
                faults=[("no labels", "a picture without a task")],
            )
            for path in sorted(images.rglob("*"))
            if path.suffix.lower() in PICTURES and path not in named
        ]
    # One unit for all, so that distances can be compared.
    unit = "px" if all(film.size_px for film in films if film.task) else "%"
    for film in films:
        if film.task is not None:
            _check_task(film, film.task)
            _measure(film, film.task, unit)
    _mark_outliers(films, "distance", largest_z)
    _mark_outliers(films, "angle", largest_z)
    _mark_duplicates(films)
    return sorted(films, key=lambda film: -film.severity)


def _film(task: Task, images: Path | None) -> Film:
    film = Film(task.file_name, task, size_px=task.size_px)
    if images is None:
        return film
    film.path = next((images / n for n in task.names_on_disk if (images / n).is_file()), None)
    if film.path is None:
        film.faults.append(("no picture", f"no picture of that name in {images}"))
        return film
    try:
        size_px = loaded_size_px(str(film.path))
    except OSError as error:
        film.faults.append(("unreadable", " ".join(str(error).split())))
        return film
    if task.size_px and task.size_px != size_px:
        film.faults.append(
            ("size", f"labelled as {_by(task.size_px)}, the picture is {_by(size_px)}")
        )
    film.size_px = size_px
    return film


def _check_task(film: Film, task: Task) -> None:
    """Mistakes that one film's labels show without the others."""
    if not task.points:
        film.faults.append(("no labels", "a task without labels"))
        return
    for name in MARKS:
        found = task.points.get(name, ())
        if not found:
            film.faults.append(("missing", f"no {name}"))
        if len(found) > 1:
            film.faults.append(("doubled", f"{len(found)} × {name}"))
        for x, y in found:
            if not (0 <= x <= 100 and 0 <= y <= 100):
                film.faults.append(("outside", f"{name} at {x:.1f} %, {y:.1f} %"))
    for name in sorted(set(task.points) - set(MARKS)):
        film.faults.append(("unknown label", f"a point named '{name}'"))
    if task.rotation:
        film.faults.append(("turned", f"labelled turned by {task.rotation:g}°"))
    if task.annotations > 1:
        film.faults.append(("several annotations", f"labelled {task.annotations} times"))


def _measure(film: Film, task: Task, unit: str) -> None:
    """Distance and angle of the marks, where there is one of each."""
    lower, upper = (task.points.get(name, ()) for name in MARKS)
    if len(lower) != 1 or len(upper) != 1:
        return
    scale = np.array(film.size_px if unit == "px" and film.size_px else (100, 100)) / 100
    along = (np.array(upper[0]) - np.array(lower[0])) * scale
    film.unit = unit
    film.distance = float(np.hypot(*along))
    film.angle_deg = math.degrees(math.atan2(along[0], -along[1]))
    if along[1] > 0:
        film.faults.append(("swapped", "p1, the lower end, is above p2"))


def _mark_outliers(films: Iterable[Film], quantity: str, largest_z: float) -> None:
    """Robust z of a quantity over the set: the median and the median absolute deviation."""
    read = {"distance": lambda f: f.distance, "angle": lambda f: f.angle_deg}[quantity]
    measured = [film for film in films if read(film) is not None]
    if not measured:
        return
    values = np.array([read(film) for film in measured])
    median = float(np.median(values))
    least = LEAST_SPREAD[quantity] * (median if quantity == "distance" else 1)
    sigma = max(MAD_TO_SIGMA * float(np.median(np.abs(values - median))), least)
    for film, value in zip(measured, values, strict=True):
        z = film.z[quantity] = float((value - median) / sigma)
        if abs(z) > largest_z:
            unit = f" {film.unit}" if quantity == "distance" else "°"
            film.faults.append(
                (
                    quantity,
                    f"{quantity} {value:.1f}{unit}, the set has {median:.1f}{unit} ({z:+.1f} σ)",
                )
            )


def _mark_duplicates(films: Sequence[Film]) -> None:
    """Pictures of the same pixels, whatever their names, formats and metadata."""
    same: dict[str, list[Film]] = defaultdict(list)
    present = [
        (film, film.path)
        for film in films
        if film.path is not None and all(kind != "unreadable" for kind, _ in film.faults)
    ]
    for film, path in tqdm(present, desc="comparing pictures", unit="img", delay=5, disable=None):
        try:
            pixels = read_gray(path)
        except (OSError, ValueError) as error:
            film.faults.append(("unreadable", " ".join(str(error).split())))
            continue
        digest = hashlib.sha256(pixels.tobytes())
        digest.update(str((pixels.shape, pixels.dtype)).encode())
        same[digest.hexdigest()].append(film)
    for group in same.values():
        for film in group if len(group) > 1 else ():
            others = ", ".join(other.name for other in group if other is not film)
            film.faults.append(("duplicate", f"the same picture as {others}"))


def _by(size_px: tuple[int, int]) -> str:
    return f"{size_px[0]} × {size_px[1]} px"
