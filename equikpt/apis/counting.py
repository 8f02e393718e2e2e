"""Count by pointing: the things in images, and where they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config

from equikpt.apis.box_predictor import BoxPredictor
from equikpt.apis.images import drawn_paths
from equikpt.core.image import each_image, read_image
from equikpt_runtime.boxes import whole_image
from equikpt_runtime.drawing import draw_sequence, write_image


@dataclass(frozen=True)
class Count:
    """Count of one image, with its points.

    Args:
        image: Path as given.
        count: Number of points; None where the image cannot be read.
        interval: Fewest and most things that there may well be, inclusive; see
            :data:`~equikpt.models.step_targets.INTERVAL`.
        points: [x, y] each, in px of the image, in the order of pointing.
        scores: One for each point, 0 to 1.
        complete: True where the head said done; False where it was stopped at its most points.
        problem: Reason why there is no count; empty where there is one.
        novelty: As of :class:`~equikpt.structures.Instance`.
    """

    image: str
    count: int | None
    interval: list[int] | None
    points: list[list[float]]
    scores: list[float]
    complete: bool
    problem: str = ""
    novelty: float | None = None


def load(
    cfg: Config, checkpoint: str | Path | None = None, device: str | None = None
) -> BoxPredictor:
    """A model that points at any number of things.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: It is of another model, or the config's model does not count.
    """
    if cfg.model.head.get("mode", "points") != "points" or "max_points" not in cfg.model.head:
        raise ValueError(
            "expected a config whose head points at any number of things, such as "
            f"sequential_efficientnet-lite0_fsc147-384x384, got {cfg.filename}"
        )
    return BoxPredictor(cfg, checkpoint, device)


def count(
    images: Sequence[str],
    predictor: BoxPredictor,
    folder: Path | None = None,
    refuse: bool = True,
) -> Iterator[Count]:
    """Count the things in each image.

    One that cannot be read, or is unlike those of the training, has a problem, and no count.

    Args:
        images: Paths.
        predictor: From :func:`load`.
        folder: Where each image is written again with its points; None writes none.
        refuse: Give no count for what is unlike the training; False gives it all the same.
    """
    drawn = drawn_paths(images, folder, "points") if folder else []
    targets = dict(zip(images, drawn, strict=False))

    def point(path: str) -> Count:
        image = read_image(path)
        (found,) = predictor(image, [whole_image(image)])
        novelty = float(found.novelty[0]) if "novelty" in found else None
        reason = predictor.refusal(found) if refuse and novelty is not None else ""
        if reason:
            return Count(path, None, None, [], [], False, reason, novelty)
        points, scores = found.keypoints[0], found.keypoint_scores[0]
        if path in targets:
            write_image(targets[path], draw_sequence(image, points, scores))
        return Count(
            path,
            len(points),
            found.count_interval[0].tolist(),
            np.round(points, 1).tolist(),
            np.round(scores, 3).tolist(),
            complete=bool(found.done_probability[0, -1] >= predictor.model.head.done_threshold),
            novelty=novelty,
        )

    for path, found, problem in each_image(images, point):
        yield found or Count(path, None, None, [], [], False, problem)


def format_count(found: Count) -> str:
    """One line for a terminal."""
    if found.count is None:
        return f"{found.image}: not counted, {found.problem}"
    if not found.complete:
        return f"{found.image}: {found.count} or more: stopped at the most points of the config"
    low, high = found.interval or (found.count, found.count)
    return f"{found.image}: {found.count} ({low} to {high})"
