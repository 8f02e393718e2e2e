"""Drawings of the best, median and worst samples of a test: ground truth beside prediction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from equikpt.core.files import is_within
from equikpt.core.image import reader_of
from equikpt.evaluation.presentation import presented
from equikpt.metainfo.trained import trained_keypoints
from equikpt.report.breakdown import by_instance
from equikpt.report.evaluation import Evaluation, Sample
from equikpt.report.html.render import drawn_in_turns
from equikpt.visualization.ground_truth_pair import Pose, draw_pose_errors, draw_whole_pair
from equikpt_runtime.drawing import has_names

MAX_IMAGE_BYTES = 3_500_000
"""Size of all images, as text in the page, which then stays below 5 MB."""
WORST, OTHERS = 9, 6
"""Images of the worst, and each of the median and the best."""
MIN_LABELLED = 0.5
"""Fraction of the most labelled animal's points: with fewer, one alone would make it best."""
GROUPS = {
    "worst": "Worst",
    "median": "Around the median",
    "best": "Best",
    "sample": "A selection",
}
"""Titles by group, in the order in which they matter."""


class Drawing(NamedTuple):
    """A drawn image: a key of :data:`GROUPS`, file name, caption and the ``src`` of the image."""

    group: str
    name: str
    caption: str
    uri: str


class Task(NamedTuple):
    """An image to draw."""

    path: str
    caption: str
    draw: Callable[[], np.ndarray]


def draw_images(
    evaluation: Evaluation, max_bytes: int = MAX_IMAGE_BYTES
) -> tuple[list[Drawing], int]:
    """Draw by group; first the foremost of each group, then the second, until the bytes are spent.

    Returns:
        The images, group by group, and how many cannot be read or lie outside of the images'
        folder, such as a private one that foreign labels name.
    """

    def draw(item: tuple[str, Task]) -> np.ndarray | None:
        try:
            return item[1].draw() if is_within(item[1].path, evaluation.images) else None
        except (OSError, ValueError, cv2.error):  # moved away or damaged since the test
            return None

    groups = [[(group, task) for task in tasks] for group, tasks in _grouped(evaluation).items()]
    drawn = list(drawn_in_turns(groups, draw, max_bytes))
    images = [
        Drawing(group, Path(task.path).name, task.caption, uri)
        for (group, task), uri in drawn
        if uri
    ]
    order = list(GROUPS)
    return sorted(images, key=lambda image: order.index(image.group)), len(drawn) - len(images)


def _grouped(evaluation: Evaluation) -> dict[str, list[Task]]:
    """Worst, median and best where single images are ranked, else some of all."""
    ranked = _ranked(evaluation)
    if ranked is None:
        samples = evaluation.samples
        chosen = np.linspace(0, len(samples) - 1, min(WORST, len(samples))).round().astype(int)
        return {"sample": [_image_task(samples[index], evaluation.meta) for index in chosen]}
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
    samples, meta = evaluation.samples, evaluation.meta
    if evaluation.parts is not None:
        pose = evaluation.poses()
        shown = np.any(pose.visibility > 0, axis=0) & trained_keypoints(meta)
        found = by_instance(pose, meta["flip_indices"])
        tasks = []
        for row in found[found["points"] >= MIN_LABELLED * found["points"].max()].itertuples():
            caption = f"error {100 * row.error:.1f} %, {row.right} of {row.points} points right"
            caption += f", {row.inverted} left-right exchanged" if row.inverted else ""
            tasks.append(_pose_task(samples[row.Index], meta, shown, caption))
        return tasks
    for name, metric in presented().items():
        table = evaluation.tables.get(name)
        examples = None if table is None else metric.ranked(table)
        if examples is None or table is None:
            continue
        if all(each.draw for each in examples) or len(table) == len(samples):
            return [
                Task(each.path, each.caption, each.draw)
                if each.draw is not None
                else _image_task(samples[each.index], meta, each.caption)
                for each in examples
            ]
    return None


def _pose_task(sample: Sample, meta: dict, shown: np.ndarray, caption: str) -> Task:
    """One animal, with predictions of the keypoints ``shown`` (K,).

    Those that the set labels nowhere are predicted anywhere, those that are not trained not at all.
    """

    def draw() -> np.ndarray:
        points, scores = np.asarray(sample.predicted[0]), np.asarray(sample.scores[0])
        predicted = Pose(points, np.where(shown, 2, 0), scores)
        image = reader_of(meta)(sample.image)
        return draw_pose_errors(image, sample.boxes[0], np.asarray(sample.gt[0]), predicted, meta)

    return Task(sample.image, caption, draw)


def _image_task(sample: Sample, meta: dict, caption: str = "") -> Task:
    """The whole image with all that is labelled and found."""

    def draw() -> np.ndarray:
        predicted = []
        for index, points in enumerate(map(np.asarray, sample.predicted)):
            visibility, scores = np.full(len(points), 2), None
            if sample.kinds:  # points that belong to nobody, each a keypoint by itself
                kind = np.arange(meta["num_keypoints"]) == sample.kinds[index]
                points, visibility = np.where(kind[:, None], points, 0), np.where(kind, 2, 0)
            elif has_names(meta):
                visibility = np.where(trained_keypoints(meta), 2, 0)
                scores = np.asarray(sample.scores[index])
            predicted.append(Pose(points, visibility, scores))
        gt = [np.asarray(pose) for pose in sample.gt]
        return draw_whole_pair(reader_of(meta)(sample.image), gt, predicted, meta)

    found = f"{len(sample.gt)} labelled, {len(sample.predicted)} found"
    return Task(sample.image, caption or found, draw)
