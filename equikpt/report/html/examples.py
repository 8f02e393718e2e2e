"""Drawings of the best, median and worst samples of a test: ground truth beside prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from equikpt.core.files import is_within
from equikpt.core.image import reader_of
from equikpt.evaluation.presentation import Example, presented
from equikpt.report.breakdown import Instance, by_instance
from equikpt.report.evaluation import Evaluation, Sample
from equikpt.report.html.render import jpeg_uri
from equikpt.visualization.pose import ERROR_BGR, draw_instance, draw_pose, has_names

SIDE_PX = 240
CROP_PADDING = 1.2
"""A cell shows the box enlarged by this factor."""
GROUND = 56
"""Gray around an image."""
MAX_IMAGE_BYTES = 3_500_000
"""Size of all images, as text in the page, which then stays below 5 MB."""
WORST, OTHERS = 9, 6
"""Images of the worst, and each of the median and the best."""
MIN_SHARE = 0.5
"""Share of the most labelled animal's points: with fewer, one point alone would make it best."""
GROUPS = {
    "worst": "Worst",
    "median": "Around the median",
    "best": "Best",
    "sample": "A selection",
}
"""Titles by group, in the order in which they matter."""


@dataclass(frozen=True)
class Drawing:
    """A drawn image.

    Args:
        group: One of ``GROUPS``.
        name: File name.
        told: What was found in it, in a few words.
        uri: The drawing as the ``src`` of an HTML image.
    """

    group: str
    name: str
    told: str
    uri: str


@dataclass(frozen=True)
class Task:
    """An image to draw."""

    path: str
    told: str
    draw: Callable[[], np.ndarray]


def draw_images(
    evaluation: Evaluation, max_bytes: int = MAX_IMAGE_BYTES
) -> tuple[list[Drawing], int]:
    """Draw by group; first the foremost of each group, then the second, until the bytes are spent.

    Returns:
        The images, group by group, and how many cannot be read or lie outside of the images'
        folder, such as a private one that foreign labels name.
    """
    groups = _grouped(evaluation)
    turns = zip_longest(*([(group, task) for task in tasks] for group, tasks in groups.items()))
    in_turns = [each for turn in turns for each in turn if each is not None]
    images, used, unread = [], 0, 0
    for group, task in tqdm(in_turns, desc="drawing", unit="img", delay=5, disable=None):
        try:
            if not is_within(task.path, evaluation.images):
                raise ValueError(f"expected images within {evaluation.images}, got {task.path}")
            uri = jpeg_uri(task.draw())
        except (OSError, ValueError, cv2.error):  # moved away or damaged since the test
            unread += 1
            continue
        if used + len(uri) > max_bytes:
            break
        used += len(uri)
        images.append(Drawing(group, Path(task.path).name, task.told, uri))
    return sorted(images, key=lambda image: list(GROUPS).index(image.group)), unread


def _grouped(evaluation: Evaluation) -> dict[str, list[Task]]:
    """Worst, median and best where single images are ranked, else some of all."""
    ranked = _ranked(evaluation)
    if ranked is None:
        samples = evaluation.samples
        chosen = np.linspace(0, len(samples) - 1, min(WORST, len(samples))).round().astype(int)
        return {"sample": [_any_task(samples[index], evaluation.meta) for index in chosen]}
    count = len(ranked)
    worst = min(WORST, -(-count // 3))
    rest = count - worst
    best = min(OTHERS, -(-rest // 2))
    middle = min(OTHERS, rest - best)
    start = min(max(best, (count - middle) // 2), rest - middle)
    return {
        "worst": ranked[::-1][:worst],
        "median": ranked[start : start + middle],
        "best": ranked[:best],
    }


def _ranked(evaluation: Evaluation) -> list[Task] | None:
    """All images, best first; None where no error belongs to a single one."""
    if evaluation.parts is not None:
        found = by_instance(evaluation.poses(), evaluation.meta["flip_indices"])
        least = MIN_SHARE * max((each.points for each in found), default=0)
        return [_pose_task(each, evaluation) for each in found if each.points >= least]
    for name, metric in presented().items():
        table = evaluation.tables.get(name)
        examples = None if table is None else metric.ranked(table)
        if examples is None or table is None:
            continue
        if all(each.draw for each in examples) or len(table) == len(evaluation.samples):
            return [_task(each, evaluation) for each in examples]
    return None


def _task(example: Example, evaluation: Evaluation) -> Task:
    """Drawing of an example: its own, else that of its sample."""
    if example.draw is not None:
        return Task(example.path, example.caption, example.draw)
    task = _any_task(evaluation.samples[example.index], evaluation.meta)
    return Task(task.path, example.caption, task.draw)


def _pose_task(found: Instance, evaluation: Evaluation) -> Task:
    sample, meta = evaluation.samples[found.index], evaluation.meta
    told = f"error {100 * found.error:.1f} %, {found.right} of {found.points} points right"
    if found.exchanged:
        told += f", {found.exchanged} left-right exchanged"
    labelled = np.any(evaluation.poses().visibility > 0, axis=0)
    return Task(sample.image, told, lambda: _draw_pose_pair(sample, meta, labelled))


def _any_task(sample: Sample, meta: dict) -> Task:
    told = f"{len(sample.gt)} labelled, {len(sample.predicted)} found"
    return Task(sample.image, told, lambda: _draw_image_pair(sample, meta))


def _draw_pose_pair(sample: Sample, meta: dict, labelled: np.ndarray) -> np.ndarray:
    """(``SIDE_PX``, 2 · ``SIDE_PX``, 3) around one animal, lines from ground truth to prediction.

    Args:
        sample: One instance.
        meta: As :attr:`Evaluation.meta`.
        labelled: (K,) bool, whether the set has the keypoint at all; others are put anywhere.
    """
    gt, predicted = np.asarray(sample.gt[0]), np.asarray(sample.predicted[0])
    left, top, width, height = sample.boxes[0]
    middle = np.array([left + width / 2, top + height / 2])
    side = CROP_PADDING * max(width, height)
    cell, scale, shift = _square(reader_of(meta)(sample.image), middle, side)
    true_places, places = gt[:, :2] * scale + shift, predicted * scale + shift
    with_gt = draw_pose(cell, true_places, meta, gt[:, 2])
    for start, end in zip(true_places[gt[:, 2] > 0], places[gt[:, 2] > 0], strict=True):
        _line(cell, start, end)
    seen = np.where(labelled, 2, 0)
    with_prediction = draw_pose(cell, places, meta, seen, np.asarray(sample.scores[0]))
    return np.hstack([with_gt, with_prediction])


def _draw_image_pair(sample: Sample, meta: dict) -> np.ndarray:
    """(``SIDE_PX``, 2 · ``SIDE_PX``, 3): the whole image with all that is labelled and found."""
    image = reader_of(meta)(sample.image)
    size = np.array([image.shape[1], image.shape[0]])
    cell, scale, shift = _square(image, size / 2, size.max())
    with_gt = cell
    for gt in map(np.asarray, sample.gt):
        with_gt = draw_instance(with_gt, gt[:, :2] * scale + shift, meta, gt[:, 2])
    found = [np.asarray(points) * scale + shift for points in sample.predicted]
    if sample.kinds:
        return np.hstack([with_gt, _draw_single(cell, found, sample.kinds, meta)])
    drawn = cell
    for points, scores in zip(found, sample.scores, strict=True):
        told = np.asarray(scores) if has_names(meta) else None
        drawn = draw_instance(drawn, points, meta, scores=told)
    return np.hstack([with_gt, drawn])


def _draw_single(
    cell: np.ndarray, found: Iterable[np.ndarray], kinds: Sequence[int], meta: dict
) -> np.ndarray:
    """Points that belong to nobody, each (1, 2), in the colours of their keypoints."""
    count = meta["num_keypoints"]
    drawn = cell
    for point, kind in zip(found, kinds, strict=True):
        points, visibility = np.zeros((count, 2)), np.zeros(count, int)
        points[kind], visibility[kind] = point[0], 2
        drawn = draw_pose(drawn, points, meta, visibility)
    return drawn


def _square(
    image: np.ndarray, middle: np.ndarray, side: float
) -> tuple[np.ndarray, float, np.ndarray]:
    """The square around ``middle`` in ``SIDE_PX`` px, gray outside of the image.

    Returns:
        The square, and with which scale and shift (2,) places in px of the image go into it.
    """
    scale = SIDE_PX / side
    if scale < 1:  # area by area: a warp would leave out pixels
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    shift = SIDE_PX / 2 - scale * middle
    factor = max(scale, 1.0)
    matrix = np.array([[factor, 0, shift[0]], [0, factor, shift[1]]])
    cell = cv2.warpAffine(image, matrix, (SIDE_PX, SIDE_PX), borderValue=(GROUND,) * 3)
    return cell, scale, shift


def _line(cell: np.ndarray, start: np.ndarray, end: np.ndarray) -> None:
    a, b = (tuple(int(v) for v in np.round(place)) for place in (start, end))
    cv2.line(cell, a, b, ERROR_BGR, 1, cv2.LINE_AA)
