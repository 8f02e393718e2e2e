"""Limits of a ruler that is believed: distance, direction and look of labelled ones.

Checkpoints of ruler models hold those of their training labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import MMLogger
from tqdm import tqdm

from equikpt.core.image_checks import loaded_size_px
from equikpt.core.radiograph import read_radiograph
from equikpt.core.ruler_strip import (
    Ticks,
    fit_templates,
    least_likeness,
    read_ticks,
    strip_along,
    ticks_and_ends,
)
from equikpt.datasets.p1p2 import P1P2Dataset
from equikpt.structures.checkpoint_records import check_keys, read_record, write_record

RECORD = "ruler_limits"
"""Key of the limits in the ``meta`` of a checkpoint."""

MIN_RADIOGRAPHS = 8
"""Labelled rulers from which a look is learnt."""
MAX_RADIOGRAPHS = 200
"""Labelled rulers that are looked at: more say little more."""
SAME_KIND = 0.5
"""Correlation of two strips from which their rulers are of one kind. Two of one scanner had 0.76
and more in 99 of 100 pairs."""
MAX_KINDS = 6
SLACK = 0.5
"""Share of the correlation that a found ruler may lose beyond what the least alike labelled ones
do: networks find rulers under clamps, in noise and turned, which the labels have few of."""
OUTLIERS = 0.02
"""Share of the labelled rulers that may be unlike the others: labels have mistakes too."""
READABLE = 0.5
"""Strength of a period from which it is the ruler's ticks."""
TICK_TOLERANCE = 0.08
STRETCH_TOLERANCE = 0.03
"""Relative difference between the ruler that fits best and the distance of the marks."""


@dataclass(frozen=True, eq=False)
class RulerLook:
    """Rulers that a model knows.

    Args:
        templates: (K, R, C) float32, the mean strip of each kind of ruler, by
            :func:`~equikpt.core.ruler_strip.ticks_and_ends`.
        min_likeness: Least correlation with one of them, -1 to 1.
        min_third: The same of each third of the ruler: near p1, between the marks, near p2.
        ticks: Least and greatest number of tick spacings from mark to mark, where the ticks can be
            read; None where those of the labelled rulers cannot, or differ.
        max_stretch: Greatest relative difference between the ruler and the marks' distance.
    """

    templates: np.ndarray
    min_likeness: float
    min_third: float
    ticks: tuple[float, float] | None = None
    max_stretch: float = STRETCH_TOLERANCE

    def objection(self, gray: np.ndarray, marks: np.ndarray) -> str:
        """Reason why two marks are not those of such a ruler; empty where they are.

        Args:
            gray: (H, W) uint8, a radiograph.
            marks: (2, 2) p1 and p2 in px, at different places.
        """
        gray = np.ascontiguousarray(gray)
        ticks, distance = read_ticks(gray, marks), float(np.hypot(*(marks[1] - marks[0])))
        if self.ticks and ticks.strength >= READABLE:
            least, most = self.ticks
            if not least <= ticks.spacings <= most:
                return (
                    f"ticks every {distance / ticks.spacings:.1f} px, expected "
                    f"{distance / most:.1f} to {distance / least:.1f}"
                )
        fit = fit_templates(gray, marks, self.templates)
        if fit.likeness < self.min_likeness:
            return (
                f"the ruler looks unlike those of the labels ({fit.likeness:.2f}, expected at "
                f"least {self.min_likeness:.2f})"
            )
        if fit.least < self.min_third:
            return (
                f"a part of the ruler looks unlike those of the labels ({fit.least:.2f}, expected "
                f"at least {self.min_third:.2f})"
            )
        if abs(fit.stretch - 1) > self.max_stretch:
            return (
                f"marks {distance:.1f} px apart, but the ruler between them would fit "
                f"{fit.stretch * distance:.1f} px"
            )
        return ""


def learn_look(rulers: Iterable[tuple[np.ndarray, np.ndarray]]) -> RulerLook | None:
    """Learn the look of labelled rulers; None of fewer than ``MIN_RADIOGRAPHS`` or all unlike.

    Rulers of one kind are averaged. Each labelled one is compared with the others of its kind, so
    that the limit is of rulers that the average does not hold.

    Args:
        rulers: Radiographs (H, W) uint8 with their marks (2, 2) in px.
    """
    strips, readings = [], []
    for gray, marks in rulers:
        strips.append(ticks_and_ends(strip_along(gray, marks)))
        readings.append(read_ticks(gray, marks))
    if len(strips) < MIN_RADIOGRAPHS:
        return None
    flat = _normalised(np.stack(strips).reshape(len(strips), -1))
    kinds = _kinds(flat @ flat.T)
    if not kinds:
        return None
    templates = np.stack([np.mean([strips[each] for each in kind], axis=0) for kind in kinds])
    likeness, least = _likeness_to_others(flat, kinds, strips[0].shape)
    min_likeness, min_third = (
        (1 - SLACK) * float(np.quantile(each, OUTLIERS)) for each in (likeness, least)
    )
    return RulerLook(templates.astype(np.float32), min_likeness, min_third, _tick_range(readings))


def _kinds(likeness: np.ndarray) -> list[np.ndarray]:
    """Groups of indices of rulers that look alike, the largest first; single ones are left out."""
    kinds: list[np.ndarray] = []
    alike, left = likeness >= SAME_KIND, np.ones(len(likeness), bool)
    fewest = max(3, math.ceil(OUTLIERS * len(likeness)))
    while len(kinds) < MAX_KINDS:
        counts = (alike & left).sum(axis=1) * left
        group = np.flatnonzero(alike[int(np.argmax(counts))] & left)
        if len(group) < fewest or not counts.max():
            break
        kinds.append(group)
        left[group] = False
    return kinds


def _likeness_to_others(
    flat: np.ndarray, kinds: list[np.ndarray], shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Correlations (N,) of each strip with the mean of the others of the kind it is most like.

    Args:
        flat: (N, R · C), strips of mean 0 and norm 1.
        kinds: Indices of the strips of each kind.
        shape: Rows and columns of a strip.

    Returns:
        Those of whole strips, and those of their least like thirds.
    """
    likeness, least = np.full(len(flat), -1.0), np.full(len(flat), -1.0)
    for kind in kinds:
        total = flat[kind].sum(axis=0)
        for each, strip in enumerate(flat):
            (mean,) = _normalised((total - strip if each in kind else total)[None])
            if strip @ mean > likeness[each]:
                likeness[each] = strip @ mean
                least[each] = least_likeness(strip.reshape(shape), mean.reshape(shape))
    return likeness, least


def _normalised(rows: np.ndarray) -> np.ndarray:
    """Rows of mean 0 and norm 1; a constant one is all 0."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    return centred / np.where(norm > 0, norm, 1)


def _tick_range(readings: list[Ticks]) -> tuple[float, float] | None:
    """Tick spacings from mark to mark, where most rulers agree on them."""
    counts = np.array([each.spacings for each in readings if each.strength >= READABLE])
    if len(counts) < max(MIN_RADIOGRAPHS, len(readings) / 2):
        return None
    middle = float(np.median(counts))
    agreeing = np.abs(counts / middle - 1) <= TICK_TOLERANCE
    if agreeing.mean() < 1 - 5 * OUTLIERS:
        return None
    return middle * (1 - TICK_TOLERANCE), middle * (1 + TICK_TOLERANCE)


@dataclass(frozen=True)
class Plausible:
    """Limits within which a found ruler is believed.

    Args:
        distance: Least and greatest distance of the marks, as fractions of the radiograph's height.
        angle_deg: Least and greatest direction from p1 to p2, in degrees; 90 is straight up.
        score: Least score of each mark, 0 to 1.
        look: Of the rulers that the model knows; None believes any look.
        source: Labels that they are of, in words; empty for limits that are of none.
    """

    distance: tuple[float, float] = (0.01, 0.5)
    angle_deg: tuple[float, float] = (30.0, 150.0)
    score: float = 0.3
    look: RulerLook | None = None
    source: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Numbers, texts and a tensor in half precision, as checkpoints hold them."""
        plain = asdict(self)
        if self.look is not None:
            plain["look"]["templates"] = torch.from_numpy(self.look.templates).half()
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Plausible:
        """Read what :meth:`to_dict` wrote; ``ValueError`` for other keys."""
        check_keys(cls, plain)
        look = plain["look"]
        if look is not None:
            check_keys(RulerLook, look)
            look = RulerLook(**{**look, "templates": look["templates"].float().cpu().numpy()})
        return cls(**{**plain, "look": look})


def record_limits(checkpoint: dict[str, Any], limits: Plausible | None) -> None:
    """Write limits into a checkpoint's ``meta``; None takes earlier ones out."""
    write_record(checkpoint, RECORD, limits)


def recorded_limits(checkpoint: Mapping[str, Any]) -> Plausible | None:
    """Read the limits of a checkpoint; None where it has none.

    Raises:
        RecordError: Of another version of the package.
    """
    return read_record(checkpoint, RECORD, Plausible.from_dict)


def plausible_from(
    labels: Path, images: Path, score: float, margin: float = 0.25, margin_deg: float = 12.0
) -> Plausible:
    """Take the limits from rulers of a labelled set: their range, with a margin, and their look.

    Args:
        labels: Annotation file of :class:`P1P2Dataset`, of radiographs as the model was trained on.
        images: Folder of its radiographs.
        score: As in :class:`Plausible`.
        margin: Fraction of the distance beyond the set's own range.
        margin_deg: Degrees beyond its own range of directions.

    Raises:
        OSError: Labels or radiographs are missing.
        ImageError: One of the radiographs is damaged.
        ValueError: The labels are broken, or no radiograph has both marks.
    """
    radiographs = P1P2Dataset(
        ann_file=str(labels), data_prefix=dict(img=str(images)), pipeline=[], check_images="none"
    )
    return plausible_of(radiographs, score, margin, margin_deg)


def plausible_of(
    radiographs: P1P2Dataset, score: float = 0.3, margin: float = 0.25, margin_deg: float = 12.0
) -> Plausible:
    """Take the limits from a data set without a pipeline; as :func:`plausible_from`."""
    labels = Path(radiographs.ann_file)
    rulers = [
        (radiograph["img_path"], radiograph["keypoints"][0])
        for radiograph in radiographs
        if radiograph["keypoints_visible"].all()
    ]
    distances, angles = [], []
    for path, marks in rulers:
        distance_px, angle_deg = distance_and_angle(marks)
        distances.append(distance_px / loaded_size_px(path)[1])
        angles.append(angle_deg)
    if not distances:
        raise ValueError(
            f"expected radiographs with both marks in {labels}, found none; label some, or give "
            "limits of distance and angle instead"
        )
    return Plausible(
        distance=(min(distances) * (1 - margin), max(distances) * (1 + margin)),
        angle_deg=(min(angles) - margin_deg, max(angles) + margin_deg),
        score=score,
        look=_look_of(rulers, labels),
        source=f"{len(rulers)} labelled rulers of {labels.name}",
    )


def _look_of(rulers: Sequence[tuple[str, np.ndarray]], labels: Path) -> RulerLook | None:
    """The look of labelled rulers, given as paths and marks; of many, of some from all over."""
    every = math.ceil(len(rulers) / MAX_RADIOGRAPHS)
    shown = tqdm(rulers[::every], desc="labelled rulers", leave=False, disable=None)
    look = learn_look((read_radiograph(path)[..., 0], marks) for path, marks in shown)
    if look is None:
        MMLogger.get_current_instance().warning(
            f"the {len(rulers)} rulers of {labels} are too few or too unlike to tell rulers of "
            "other kinds from them: distance and direction alone are checked; label more"
        )
    return look


def distance_and_angle(marks: np.ndarray) -> tuple[float, float]:
    """Distance, px, and direction, degrees, of p2 from p1."""
    x, y = np.asarray(marks, float)[1] - np.asarray(marks, float)[0]
    return float(np.hypot(x, y)), math.degrees(math.atan2(-y, x))
