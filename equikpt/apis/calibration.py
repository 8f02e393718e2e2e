"""Scale of radiographs: find the ruler marks, and say when they are not to be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equikpt.apis.ruler import RulerFinder
from equikpt.core.image import each_image
from equikpt.core.image_checks import loaded_size_px
from equikpt.core.image_decoding import ImageError
from equikpt.core.radiograph import dicom_spacing_mm, is_dicom, read_radiograph
from equikpt.datasets.p1p2 import P1P2Dataset

SPACING_TOLERANCE = 0.2
"""Relative difference to a DICOM file's spacing from which a scale is refused. A skull is enlarged
on the detector by some ten percent, and a header may state the detector's px."""


@dataclass(frozen=True)
class Plausible:
    """Limits within which a found ruler is believed.

    Args:
        distance: Least and greatest distance of the marks, as fractions of the radiograph's height.
        angle_deg: Least and greatest direction from p1 to p2, in degrees; 90 is straight up.
        score: Least score of each mark, 0 to 1.
    """

    distance: tuple[float, float] = (0.01, 0.5)
    angle_deg: tuple[float, float] = (30.0, 150.0)
    score: float = 0.3


@dataclass(frozen=True)
class Scale:
    """The scale of one radiograph.

    Args:
        radiograph: Path as given.
        mm_per_px: Of the radiograph; None where it is refused or could not be read.
        confidence: Lower score of the two marks, 0 to 1.
        refused: Why there is no scale; empty where there is one.
        distance_px: Between the marks.
        angle_deg: From p1 to p2; 90 is straight up.
        p1_x: Lower mark, px of the radiograph, as the other three.
        p1_y: See ``p1_x``.
        p2_x: Upper mark.
        p2_y: See ``p2_x``.
        is_read: False for a file that is no radiograph, with the reason in ``refused``.
    """

    radiograph: str
    mm_per_px: float | None
    confidence: float
    refused: str
    distance_px: float
    angle_deg: float
    p1_x: float
    p1_y: float
    p2_x: float
    p2_y: float
    is_read: bool = True


def plausible_from(
    labels: Path, images: Path, score: float, margin: float = 0.25, margin_deg: float = 12.0
) -> Plausible:
    """Take the limits from the rulers of a labelled set: their range, with a margin on both sides.

    Args:
        labels: Annotation file of :class:`P1P2Dataset`, of radiographs as the model was trained on.
        images: Folder of its radiographs.
        score: As in :class:`Plausible`.
        margin: Fraction of the distance beyond the set's own range.
        margin_deg: Degrees beyond its own range of directions.

    Raises:
        OSError: Labels or radiographs are missing.
        ValueError: The labels are broken, or no radiograph has both marks.
    """
    radiographs = P1P2Dataset(
        ann_file=str(labels), data_prefix=dict(img=str(images)), pipeline=[], check_images="none"
    )
    distances, angles = [], []
    for radiograph in radiographs:
        p1, p2 = radiograph["keypoints"][0]
        if radiograph["keypoints_visible"].all():
            distances.append(
                float(np.hypot(*(p2 - p1))) / loaded_size_px(radiograph["img_path"])[1]
            )
            angles.append(_angle_deg(p1, p2))
    if not distances:
        raise ValueError(
            f"expected radiographs with both marks in {labels}, found none; label some, or give "
            "--distance and --angle instead"
        )
    return Plausible(
        distance=(min(distances) * (1 - margin), max(distances) * (1 + margin)),
        angle_deg=(min(angles) - margin_deg, max(angles) + margin_deg),
        score=score,
    )


def judge(
    radiograph: str,
    marks: np.ndarray,
    scores: np.ndarray,
    height_px: int,
    ruler_mm: float,
    plausible: Plausible,
    spacing_mm: float | None = None,
) -> Scale:
    """The scale that two marks give, or why they give none.

    Args:
        radiograph: For the result.
        marks: (2, 2) p1 and p2 in px of the radiograph.
        scores: (2,) in 0–1.
        height_px: Of the radiograph.
        ruler_mm: Distance of the marks in mm.
        plausible: Limits.
        spacing_mm: mm a px from the radiograph's header, if it states one.
    """
    p1, p2 = np.asarray(marks, float)
    distance, angle = float(np.hypot(*(p2 - p1))), _angle_deg(p1, p2)
    confidence = float(np.min(scores))
    mm_per_px = ruler_mm / distance if distance else math.inf
    least, greatest = (limit * height_px for limit in plausible.distance)
    reason = ""
    if confidence < plausible.score:
        reason = f"score {confidence:.2f}, below {plausible.score:g}"
    elif not least <= distance <= greatest:
        reason = f"marks {distance:.1f} px apart, expected {least:.0f} to {greatest:.0f}"
    elif not plausible.angle_deg[0] <= angle <= plausible.angle_deg[1]:
        low, high = plausible.angle_deg
        reason = f"ruler at {angle:.0f}°, expected {low:.0f}° to {high:.0f}°"
    elif spacing_mm and abs(mm_per_px / spacing_mm - 1) > SPACING_TOLERANCE:
        reason = f"{mm_per_px:.4f} mm a px, but the file's header says {spacing_mm:.4f}"
    return Scale(
        radiograph, None if reason else mm_per_px, confidence, reason, distance, angle, *p1, *p2
    )


def calibrate(
    radiographs: Sequence[str], finder: RulerFinder, ruler_mm: float, plausible: Plausible
) -> Iterator[Scale]:
    """Find the marks on each radiograph; a radiograph that cannot be read is refused, not an error.

    Args:
        radiographs: Paths.
        finder: Finds the marks.
        ruler_mm: Distance of the marks in mm.
        plausible: Limits.
    """

    def measure(radiograph: str) -> Scale:
        image = read_radiograph(radiograph)
        try:
            spacing = dicom_spacing_mm(radiograph) if is_dicom(radiograph) else None
        except ValueError as error:  # a px that is no square
            raise ImageError(str(error)) from error
        marks, scores = finder(image)
        return judge(radiograph, marks, scores, image.shape[0], ruler_mm, plausible, spacing)

    for radiograph, scale, problem in each_image(radiographs, measure):
        nothing = (math.nan,) * 6
        yield scale or Scale(radiograph, None, 0.0, problem, *nothing, is_read=False)


def format_scale(scale: Scale) -> str:
    """One line for a terminal."""
    if scale.mm_per_px is None:
        return f"{scale.radiograph}: refused, {scale.refused}"
    return f"{scale.radiograph}: {scale.mm_per_px:.5f} mm/px, confidence {scale.confidence:.2f}"


def _angle_deg(p1: np.ndarray, p2: np.ndarray) -> float:
    x, y = p2 - p1
    return math.degrees(math.atan2(-y, x))
