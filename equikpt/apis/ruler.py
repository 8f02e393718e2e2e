"""Ruler marks on radiographs, and the scale that follows, or the reason why it is not trusted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmengine.config import Config

from equikpt.apis.box_predictor import BoxPredictor
from equikpt.apis.ruler_look import Plausible, distance_and_angle
from equikpt.core.image import each_image
from equikpt.core.radiograph import dicom_spacing_mm, is_dicom, read_radiograph
from equikpt.datasets.p1p2 import square_around
from equikpt.structures.pose_instance import output_scores
from equikpt_runtime.boxes import whole_image
from equikpt_runtime.images import ImageError
from equikpt_runtime.instance import scale_of

SPACING_TOLERANCE = 0.2
"""Relative difference to a DICOM file's spacing from which a scale is refused. A skull is enlarged
on the detector by some ten percent, and a header may state the detector's px."""


class FoundMarks(NamedTuple):
    """Marks of one radiograph.

    Args:
        points: (2, 2) p1 and p2 in px.
        scores: (2,) in 0–1.
        radii: (2,) px that hold them with the ``level`` of the finder's stages; None without a fit
            in their checkpoint.
        objection: Reason not to believe them: the radiograph as a whole is unlike those of the
            coarse stage's training, where its checkpoint knows them; else "".
        novelty: As of :class:`~equikpt.structures.Instance`.
    """

    points: np.ndarray
    scores: np.ndarray
    radii: np.ndarray | None
    objection: str
    novelty: float | None = None


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
        return self.find(radiograph)[:2]

    def find(self, radiograph: np.ndarray) -> FoundMarks:
        """Marks by all stages, with their radii, and if the radiograph is unlike the training."""
        (found,) = self.coarse(radiograph, [whole_image(radiograph)])
        marks, scores = found.keypoints[0], output_scores(found)[0]
        novelty = float(found.novelty[0]) if "novelty" in found else None
        objection = "" if novelty is None else self.coarse.refusal(found)
        radii = found.get("keypoint_radius", [None])[0]
        if self.fine:
            marks, scores, radii = self._refined(radiograph, marks, scores)
        return FoundMarks(marks, scores, radii, objection, novelty)

    def detect(self, radiograph: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Marks and scores by the coarse stage; as :meth:`__call__`."""
        (found,) = self.coarse(radiograph, [whole_image(radiograph)])
        return found.keypoints[0], output_scores(found)[0]

    def refine(
        self, radiograph: np.ndarray, marks: np.ndarray, scores: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Marks by the fine stage, around those of the coarse one; of both scores the lower one.

        Raises:
            ValueError: There is no fine stage.
        """
        return self._refined(radiograph, marks, scores)[:2]

    def _refined(
        self, radiograph: np.ndarray, marks: np.ndarray, scores: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """As :meth:`refine`, and the radii (2,) of the fine stage, if it has any."""
        if self.fine is None:
            raise ValueError("expected a second stage, got none; give RulerFinder its `fine`")
        boxes = [square_around(mark, self.crop_fraction * radiograph.shape[0]) for mark in marks]
        found = self.fine(radiograph, boxes)
        refined = np.stack([each.keypoints[0, mark] for mark, each in enumerate(found)])
        sure = np.stack([output_scores(each)[0, mark] for mark, each in enumerate(found)])
        radii = None
        if all("keypoint_radius" in each for each in found):
            radii = np.stack([each.keypoint_radius[0, mark] for mark, each in enumerate(found)])
        return refined, np.minimum(scores, sure), radii


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
        low_mm_per_px: Lower end of an interval that holds the scale in at least 90 of 100 cases,
            by the radii of the marks; NaN without them, as ``high_mm_per_px``, its upper end.
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
    low_mm_per_px: float = math.nan
    high_mm_per_px: float = math.nan


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
    objection: str = "",
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
        objection: Reason that is known already.
    """
    distance, angle = distance_and_angle(marks)
    confidence = float(np.min(scores))
    mm_per_px = ruler_mm / distance if distance else math.inf
    nearest, farthest = (limit * height_px for limit in plausible.distance)
    low, high = plausible.angle_deg
    reason = ""
    if objection:
        reason = objection
    elif confidence < plausible.score:
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


def with_interval(scale: Scale, ruler_mm: float, radii: np.ndarray) -> Scale:
    """Add the interval of a scale by the radii (2,), px, of its marks.

    As :func:`equikpt_runtime.instance.scale_of` has it.
    """
    if scale.mm_per_px is None:
        return scale
    marks = np.array([[scale.p1_x, scale.p1_y], [scale.p2_x, scale.p2_y]])
    _, low, high = scale_of(marks, radii, ruler_mm)
    return replace(scale, low_mm_per_px=low, high_mm_per_px=high)


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
        found = finder.find(image)
        scale = judge(
            radiograph,
            found.points,
            found.scores,
            image.shape[0],
            ruler_mm,
            plausible,
            spacing,
            gray=image[..., 0],
            refuse=refuse,
            objection=found.objection,
        )
        return scale if found.radii is None else with_interval(scale, ruler_mm, found.radii)

    for radiograph, scale, problem in each_image(radiographs, measure):
        yield scale or Scale(radiograph, None, 0.0, problem, is_read=False)


def format_scale(scale: Scale) -> str:
    """One line for a terminal."""
    if scale.mm_per_px is None:
        return f"{scale.radiograph}: refused, {scale.refused}"
    doubt = f", in doubt: {scale.doubt}" if scale.doubt else ""
    interval = ""
    if math.isfinite(scale.high_mm_per_px):
        interval = f" ({scale.low_mm_per_px:.5f} to {scale.high_mm_per_px:.5f})"
    found = f"{scale.mm_per_px:.5f} mm/px{interval}, confidence {scale.confidence:.2f}{doubt}"
    return f"{scale.radiograph}: {found}"
