"""Ruler marks on radiographs, and the scale that follows, or the reason why it is not trusted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.logging import MMLogger
from tqdm import tqdm

from equikpt.apis.predictor import BoxPredictor, whole_image
from equikpt.apis.ruler_look import MAX_RADIOGRAPHS, RulerLook, learn_look
from equikpt.core.image import each_image
from equikpt.core.image_checks import loaded_size_px
from equikpt.core.image_decoding import ImageError
from equikpt.core.radiograph import dicom_spacing_mm, is_dicom, read_radiograph
from equikpt.datasets.p1p2 import P1P2Dataset, square_around

SPACING_TOLERANCE = 0.2
"""Relative difference to a DICOM file's spacing from which a scale is refused. A skull is enlarged
on the detector by some ten percent, and a header may state the detector's px."""


class RulerFinder:
    """Finds p1 and p2 on radiographs (H, W, 3) uint8 of ``core.radiograph.read_radiograph``.

    Args:
        coarse: Stage for the whole radiograph.
        fine: Stage for a square around each mark that ``coarse`` found, at the radiograph's own
            resolution; None leaves it at the coarse marks.
        crop_fraction: Side of that square as a fraction of the radiograph's height, as in training.
    """

    def __init__(
        self, coarse: BoxPredictor, fine: BoxPredictor | None = None, crop_fraction: float = 0.128
    ) -> None:
        self.coarse = coarse
        self.fine = fine
        self.crop_fraction = crop_fraction

    @classmethod
    def load(
        cls,
        cfg: Config,
        checkpoint: str | Path | None = None,
        fine_cfg: Config | None = None,
        fine_checkpoint: str | Path | None = None,
        device: str | None = None,
    ) -> RulerFinder:
        """From configs and checkpoints of both stages, as ``BoxPredictor``, or of the first alone.

        Raises:
            FileNotFoundError: There is no such checkpoint.
            ValueError: ``fine_cfg`` is not one of crops.
        """
        if fine_cfg is None or fine_checkpoint is None:
            return cls(BoxPredictor(cfg, checkpoint, device))
        crop_fraction = fine_cfg.test_dataloader.dataset.get("crop_fraction")
        if crop_fraction is None:
            raise ValueError(
                "expected a config with RulerMarkDataset for the second stage, such as "
                f"td-hm_efficientnet-lite0_p1p2-refine-192x192, got {fine_cfg.filename}"
            )
        coarse = BoxPredictor(cfg, checkpoint, device)
        return cls(coarse, BoxPredictor(fine_cfg, fine_checkpoint, device), crop_fraction)

    def __call__(self, radiograph: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Marks by all stages there are: (2, 2) p1 and p2 in px, and (2,) scores in 0–1."""
        marks, scores = self.detect(radiograph)
        return self.refine(radiograph, marks, scores) if self.fine else (marks, scores)

    def detect(self, radiograph: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Marks and scores by the coarse stage; as :meth:`__call__`."""
        (found,) = self.coarse(radiograph, [whole_image(radiograph)])
        return found.keypoints[0], found.keypoint_scores[0]

    def refine(
        self, radiograph: np.ndarray, marks: np.ndarray, scores: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Marks by the fine stage, around those of the coarse one; of both scores the lower one.

        Raises:
            ValueError: There is no fine stage.
        """
        if self.fine is None:
            raise ValueError("expected a second stage, got none; give RulerFinder its `fine`")
        boxes = [square_around(mark, self.crop_fraction * radiograph.shape[0]) for mark in marks]
        found = self.fine(radiograph, boxes)
        refined = np.stack([each.keypoints[0, mark] for mark, each in enumerate(found)])
        sure = np.stack([each.keypoint_scores[0, mark] for mark, each in enumerate(found)])
        return refined, np.minimum(scores, sure)


@dataclass(frozen=True)
class Plausible:
    """Limits within which a found ruler is believed.

    Args:
        distance: Least and greatest distance of the marks, as fractions of the radiograph's height.
        angle_deg: Least and greatest direction from p1 to p2, in degrees; 90 is straight up.
        score: Least score of each mark, 0 to 1.
        look: Of the rulers that the model knows; None believes any look.
    """

    distance: tuple[float, float] = (0.01, 0.5)
    angle_deg: tuple[float, float] = (30.0, 150.0)
    score: float = 0.3
    look: RulerLook | None = None


@dataclass(frozen=True)
class Scale:
    """The scale of one radiograph.

    Args:
        radiograph: Path as given.
        mm_per_px: Of the radiograph; None where it is refused or could not be read.
        confidence: Lower score of the two marks, 0 to 1.
        refused: Reason why there is no scale; empty where there is one.
        distance_px: Between the marks.
        angle_deg: From p1 to p2; 90 is straight up.
        p1_x: Lower mark, px of the radiograph, as ``p1_y`` and, of the upper one, ``p2_…``.
        is_read: False for a file that is no radiograph, with the reason in ``refused``.
        doubt: Reason to refuse a scale that was asked for all the same; else empty.
    """

    radiograph: str
    mm_per_px: float | None
    confidence: float
    refused: str
    distance_px: float = math.nan
    angle_deg: float = math.nan
    p1_x: float = math.nan
    p1_y: float = math.nan
    p2_x: float = math.nan
    p2_y: float = math.nan
    is_read: bool = True
    doubt: str = ""


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
    rulers = [
        (radiograph["img_path"], radiograph["keypoints"][0])
        for radiograph in radiographs
        if radiograph["keypoints_visible"].all()
    ]
    distances, angles = [], []
    for path, marks in rulers:
        distance_px, angle_deg = _distance_and_angle(marks)
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


def judge(
    radiograph: str,
    marks: np.ndarray,
    scores: np.ndarray,
    height_px: int,
    ruler_mm: float,
    plausible: Plausible,
    spacing_mm: float | None = None,
    gray: np.ndarray | None = None,
    refuse: bool = True,
) -> Scale:
    """The scale that two marks give, or the reason why they give none.

    Args:
        radiograph: For the result.
        marks: (2, 2) p1 and p2 in px of the radiograph, ``height_px`` high.
        scores: (2,) in 0–1.
        height_px: Of the radiograph.
        ruler_mm: Distance of the marks in mm.
        plausible: Limits.
        spacing_mm: mm a px from the radiograph's header, if it states one.
        gray: (H, W) uint8, the radiograph; None leaves the look of the ruler unchecked.
        refuse: False gives the scale in spite of a reason, which is its ``doubt`` then.
    """
    distance, angle = _distance_and_angle(marks)
    confidence = float(np.min(scores))
    mm_per_px = ruler_mm / distance if distance else math.inf
    nearest, farthest = (limit * height_px for limit in plausible.distance)
    low, high = plausible.angle_deg
    reason = ""
    if confidence < plausible.score:
        reason = f"score {confidence:.2f}, below {plausible.score:g}"
    elif not nearest <= distance <= farthest:
        reason = f"marks {distance:.1f} px apart, expected {nearest:.0f} to {farthest:.0f}"
    elif not low <= angle <= high:
        reason = f"ruler at {angle:.0f}°, expected {low:.0f}° to {high:.0f}°"
    elif spacing_mm and abs(mm_per_px / spacing_mm - 1) > SPACING_TOLERANCE:
        reason = f"{mm_per_px:.4f} mm a px, but the file's header says {spacing_mm:.4f}"
    elif plausible.look is not None and gray is not None:
        reason = plausible.look.objection(gray, marks)
    coords = np.asarray(marks, float).ravel()
    scale = Scale(radiograph, mm_per_px, confidence, "", distance, angle, *coords)
    if reason and (refuse or not math.isfinite(mm_per_px)):
        return replace(scale, mm_per_px=None, refused=reason)
    return replace(scale, doubt=reason)


def calibrate(
    radiographs: Sequence[str],
    finder: RulerFinder,
    ruler_mm: float,
    plausible: Plausible,
    refuse: bool = True,
) -> Iterator[Scale]:
    """Find the scale of each radiograph, by path; one that cannot be read is refused, no error.

    Without ``refuse``, a scale that is not plausible is given too, with the reason in ``doubt``.
    """

    def measure(radiograph: str) -> Scale:
        image = read_radiograph(radiograph)
        try:
            spacing = dicom_spacing_mm(radiograph) if is_dicom(radiograph) else None
        except ValueError as error:  # a px that is no square
            raise ImageError(str(error)) from error
        marks, scores = finder(image)
        limits = (ruler_mm, plausible, spacing)
        return judge(
            radiograph, marks, scores, image.shape[0], *limits, gray=image[..., 0], refuse=refuse
        )

    for radiograph, scale, problem in each_image(radiographs, measure):
        yield scale or Scale(radiograph, None, 0.0, problem, is_read=False)


def format_scale(scale: Scale) -> str:
    """One line for a terminal."""
    if scale.mm_per_px is None:
        return f"{scale.radiograph}: refused, {scale.refused}"
    doubt = f", in doubt: {scale.doubt}" if scale.doubt else ""
    found = f"{scale.mm_per_px:.5f} mm/px, confidence {scale.confidence:.2f}{doubt}"
    return f"{scale.radiograph}: {found}"


def _distance_and_angle(marks: np.ndarray) -> tuple[float, float]:
    """Distance, px, and direction, degrees, of p2 from p1."""
    x, y = np.asarray(marks, float)[1] - np.asarray(marks, float)[0]
    return float(np.hypot(x, y)), math.degrees(math.atan2(-y, x))
