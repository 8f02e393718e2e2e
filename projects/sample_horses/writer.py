"""A folder of sample data: images and COCO JSON, whole or not there at all."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from projects.sample_horses.coco import SPLITS, Parameters, coco_split, file_name
from projects.sample_horses.films import side_view
from projects.sample_horses.render import VISIBLE, HorseLabel, Rendering, render
from projects.sample_horses.scene import random_scene

MARKER = "sample_data.json"
"""Written last; holds the parameters. A folder without it is not a data set of ours."""
JPEG_QUALITY = 92
MIN_VISIBLE_KEYPOINTS = 4
"""A scene in which a horse shows fewer is drawn anew: nobody would label that horse."""
IMAGES_A_TASK = 4


def write_samples(
    folder: Path,
    parameters: Parameters,
    jobs: int = 1,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> bool:
    """Write a data set, unless exactly this one is there.

    Everything is written to a folder beside ``folder``, which is renamed when it is whole. An
    interruption leaves at most that other folder, and the next call removes it.

    Args:
        folder: gets ``annotations/{split}.json``, ``images/{split}/NNNNNN.jpg`` and the marker.
        parameters: sizes and seed.
        jobs: processes; the result does not depend on it.
        overwrite: replace sample data of other parameters, and nothing else.
        progress: called with the number of images written since the last call.

    Returns:
        Whether anything was written; False: this very data set was there already.

    Raises:
        ValueError: ``jobs`` below 1.
        FileExistsError: ``folder`` holds something else.
    """
    if jobs < 1:
        raise ValueError(f"expected at least one process as --jobs, got {jobs}; choose 1 or more")
    folder = Path(folder).resolve()
    if is_complete(folder, parameters):
        return False
    _refuse(folder, overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)
    draft = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    draft.mkdir()
    try:
        _write_draft(draft, parameters, jobs, progress)
        _swap(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return True


def is_complete(folder: Path, parameters: Parameters) -> bool:
    """Tell if ``folder`` holds exactly this data set, with no image missing."""
    if _read_marker(folder) != asdict(parameters):
        return False
    for split, count in parameters.splits.items():
        images = sum(1 for _ in (folder / "images" / split).glob("*.jpg"))
        if images != count or not (folder / "annotations" / f"{split}.json").is_file():
            return False
    return True


def draw_image(parameters: Parameters, split: str, index: int) -> Rendering:
    """Rendering ``index`` of a split: a function of the seed, the split and the index alone."""
    for attempt in range(20):
        entropy = [parameters.seed, SPLITS.index(split), index, attempt]
        draw = side_view if parameters.view == "side" else random_scene
        size_px = (parameters.width_px, parameters.height_px)
        scene = draw(np.random.default_rng(entropy), *size_px)
        rendering = render(scene, *size_px)
        if all(label is not None and _is_labelable(label) for label in rendering.labels):
            break
    return rendering


def _is_labelable(label: HorseLabel) -> bool:
    return int((label.keypoints[:, 2] == VISIBLE).sum()) >= MIN_VISIBLE_KEYPOINTS


def _write_draft(
    draft: Path, parameters: Parameters, jobs: int, progress: Callable[[int], None]
) -> None:
    tasks = []
    for split, count in parameters.splits.items():
        (draft / "images" / split).mkdir(parents=True)
        for start in range(0, count, IMAGES_A_TASK):
            indices = range(start, min(start + IMAGES_A_TASK, count))
            tasks.append((draft, parameters, split, indices))
    labels: dict[tuple[str, int], list[HorseLabel]] = {}
    if jobs == 1:
        for task in tasks:
            labels |= _draw_task(*task)
            progress(len(task[3]))
    else:
        labels = _draw_in_processes(tasks, jobs, progress)
    (draft / "annotations").mkdir()
    for split in parameters.splits:
        content = json.dumps(coco_split(parameters, split, labels))
        (draft / "annotations" / f"{split}.json").write_text(content, encoding="utf-8")
    marker = json.dumps(asdict(parameters), indent=1)
    (draft / MARKER).write_text(marker + "\n", encoding="utf-8")


def _draw_in_processes(
    tasks: list[tuple], jobs: int, progress: Callable[[int], None]
) -> dict[tuple[str, int], list[HorseLabel]]:
    labels: dict[tuple[str, int], list[HorseLabel]] = {}
    # Forking a process that has started threads can hang, and spawning works everywhere.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=context)
    try:
        pending: set[Future] = {pool.submit(_draw_task, *task) for task in tasks}
        while pending:
            done, pending = wait(pending, timeout=2.0, return_when=FIRST_COMPLETED)
            for future in done:
                labels |= future.result()
                progress(len(future.result()))
            if not done:
                progress(0)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return labels


def _draw_task(
    draft: Path, parameters: Parameters, split: str, indices: range
) -> dict[tuple[str, int], list[HorseLabel]]:
    # OpenCV's threads cost more than they bring at this size, and the processes fill the cores.
    cv2.setNumThreads(1)
    labels = {}
    for index in indices:
        rendering = draw_image(parameters, split, index)
        path = draft / "images" / split / file_name(index)
        written, content = cv2.imencode(
            ".jpg", rendering.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        )
        if not written:
            raise RuntimeError(f"OpenCV could not encode {path.name} as JPEG; reinstall OpenCV")
        path.write_bytes(content.tobytes())
        labels[split, index] = [label for label in rendering.labels if label is not None]
    return labels


def _read_marker(folder: Path) -> dict | None:
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        return dict(view="any", **marker) if "view" not in marker else marker
    except (OSError, ValueError):
        return None


def _refuse(folder: Path, overwrite: bool) -> None:
    """Stop before anything but sample data of ours would be replaced."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise FileExistsError(
            f"expected a folder for the sample data, got the file {folder}; choose another name"
        )
    entries = {entry.name for entry in folder.iterdir()}
    if not entries:
        return
    marker = _read_marker(folder)
    foreign = sorted(entries - {MARKER, "images", "annotations"})
    if marker is None or foreign:
        raise FileExistsError(
            f"expected {folder} to be empty or to hold generated sample data only, found "
            f"{', '.join((foreign or sorted(entries))[:5])}; choose another folder"
        )
    if not overwrite:
        found = ", ".join(f"{name} {marker.get(name)}" for name in (*SPLITS, "seed"))
        raise FileExistsError(
            f"{folder} holds other or incomplete sample data ({found}); choose another folder or "
            "replace it with --overwrite"
        )


def _remove_leftovers(folder: Path) -> None:
    """Remove the drafts of runs that no longer live."""
    for draft in folder.parent.glob(f".{folder.name}.partial-*"):
        process = draft.name.rpartition("-")[2]
        if not (process.isdigit() and _lives(int(process))):
            shutil.rmtree(draft, ignore_errors=True)


def _lives(process: int) -> bool:
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _swap(draft: Path, folder: Path) -> None:
    """Put the finished draft in the folder's place; the old data set goes only after that."""
    if not folder.exists():
        os.replace(draft, folder)
        return
    old = folder.with_name(f".{folder.name}.partial-old-{os.getpid()}")
    os.replace(folder, old)
    os.replace(draft, folder)
    shutil.rmtree(old, ignore_errors=True)
