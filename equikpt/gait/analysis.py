"""Gait of one animal in one trial: strides, limbs, curves and a summary."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from equikpt.gait.angles import Curves, differences, head_neck_measures, limb_measures
from equikpt.gait.classification import UNCLEAR
from equikpt.gait.events import Stances, find_stances, find_swings
from equikpt.gait.measures import Measure
from equikpt.gait.names import LIMBS
from equikpt.gait.strides import Stride, cut_strides, timing
from equikpt.gait.symmetry import SYMMETRICAL, symmetry
from equikpt.gait.tables import KeypointTable
from equikpt.gait.traces import Traces, traces_of
from equikpt.gait.trial import GaitOptions, Trial
from equikpt.tracks.smoothing import ROBUST_SD

MIN_STRIDES = 5
"""Fewest values of a mean."""
OUTLIER_SDS = 4.0
"""Distance from the median, in SDs, beyond which a stride is left out of a mean."""
SHARED = 0.3
"""Part of the lasting error, as an SD, that goes with the phase of the stride; the rest is the same
all the time. Chosen on films of two drawn horses by ``benchmarks/gait_images.py``."""
PERIODS = ("duration", "frequency")
"""Measures from an event to the next of its kind, which the phase's error leaves as they are."""
NOT_AVERAGED = ("hoof_on", "hoof_off")
"""Measures whose mean over strides says nothing."""
HEIGHT = "% of height"
"""Unit of lengths without a scale, in the height at the withers."""
BY_A_MODEL = (
    "the points are a model's, whose errors go with the phase of the stride: intervals of means "
    "hold a part of them, and a poor model's MinDiff or MaxDiff was wrong by 1.4 % of the height "
    "at the withers, two centimetres"
)
"""Figures of films of drawn horses; see benchmarks/README.md."""


@dataclass(frozen=True)
class TrialValue:
    """Mean of a measure over the strides of the trial's gait.

    Args:
        part: As of :class:`~equikpt.gait.measures.Measure`.
        name: Likewise.
        unit: Likewise.
        count: Strides in the mean.
        left_out: Outliers that are not.
        mean: NaN for fewer than :data:`MIN_STRIDES`.
        sd: Between strides.
        low: Lower end of the interval of the mean, by the SD between strides, which holds both what
            the noise does and what the animal does, and by what all of them have alike; see
            :func:`reach_of_mean` and :func:`shared_reach`.
        high: Upper end.
        noise: Half the width of the interval of these strides' mean by all that the radii state.
        remark: Reason of a mean that is not given.
    """

    part: str
    name: str
    unit: str
    count: int
    left_out: int
    mean: float
    sd: float
    low: float
    high: float
    noise: float
    remark: str = ""


@dataclass(frozen=True, eq=False)
class GaitReport:
    """All that was measured in a trial.

    Args:
        animal: As of the table.
        gait: Of most strides.
        strides: In their order.
        measures: Of each stride; lengths in mm, or in hundredths of the height at the withers, or
            in px where neither is known. Replicates hold what changes between strides and, as
            :data:`SHARED`, what goes with their phase.
        values: Means over the strides of ``gait``.
        curves: Angles over the strides of ``gait``, by limb and joint.
        height_px: From the hooves on the ground to the withers; NaN without withers.
        traces: Paths over the trial that these were read from.
        options: That it was measured with.
        notes: Sentences on what was left out, and why.
    """

    animal: str
    gait: str
    strides: list[Stride]
    measures: list[Measure]
    values: list[TrialValue]
    curves: dict[tuple[str, str], Curves]
    height_px: float
    traces: Traces
    options: GaitOptions
    notes: list[str]

    def value(self, part: str, name: str) -> TrialValue:
        """The mean of a measure.

        Raises:
            KeyError: It was not measured.
        """
        for each in self.values:
            if (each.part, each.name) == (part, name):
                return each
        raise KeyError(f"{name} of {part} was not measured; see notes")


def analyse(table: KeypointTable, options: GaitOptions | None = None) -> GaitReport:
    """Measure the gait of one animal.

    Args:
        table: Its keypoints, by a camera that looks at it from the side. One that looks along it
            shows durations and vertical displacements; the rest is left out, with a note.
        options: Names, scale and intervals.

    Raises:
        ValueError: The table holds no gait: too few points or frames, or no regular strides.
    """
    options = options or GaitOptions()
    trial = Trial(table, options)
    find = find_stances if trial.is_side_view else find_swings
    stances = {limb: find(trial, limb) for limb in trial.limbs}
    strides, odd = cut_strides(trial, stances)
    measures = timing(trial, strides, stances)
    curves: dict[tuple[str, str], Curves] = {}
    for limb in trial.limbs if trial.is_side_view else ():
        own, by_joint = limb_measures(trial, strides, limb, stances[limb])
        measures += own
        curves.update({(limb, joint): each for joint, each in by_joint.items()})
    measures += differences(measures)
    measures += symmetry(trial, strides, stances)
    if trial.is_side_view:
        measures += head_neck_measures(trial, strides)
    height = _height_px(trial, stances)
    factor, unit = _scale(options, height)
    scaled = [_in_scale(each, factor, unit) for each in measures]
    known = Counter(stride.gait for stride in strides if stride.gait != UNCLEAR)
    gait = known.most_common(1)[0][0] if known else UNCLEAR
    numbers = [each.number for each in strides if each.gait == gait]
    values = _summary(scaled, numbers, trial.changing, options)
    scaled = [_narrowed(each, trial.changing) for each in scaled]
    for key, rows in curves.items():
        kept = np.isin(rows.strides, numbers)
        curves[key] = Curves(rows.strides[kept], rows.angles[kept])
    notes = [*trial.notes, *_notes(trial, strides, odd, gait, values, unit)]
    if table.scores is not None and gait in SYMMETRICAL:
        notes.append(BY_A_MODEL)
    traces = traces_of(trial, stances, factor, unit)
    return GaitReport(
        table.animal, gait, strides, scaled, values, curves, height, traces, options, notes
    )


def _height_px(trial: Trial, stances: dict[str, Stances]) -> float:
    """Height of the withers over the hooves that stand."""
    ground = [up for each in stances.values() for up in each.up if np.isfinite(up)]
    if not trial.has("withers") or not ground:
        return np.nan
    return float(np.median(trial.smoothed("withers", 4.0)[0, :, 1]) - np.median(ground))


def _scale(options: GaitOptions, height_px: float) -> tuple[float, str]:
    if options.mm_per_px is not None:
        return options.mm_per_px, "mm"
    if not height_px > 0:
        return 1.0, "px"
    if options.height_mm is not None:
        return options.height_mm / height_px, "mm"
    return 100 / height_px, HEIGHT


def _in_scale(measure: Measure, factor: float, unit: str) -> Measure:
    if not measure.unit.startswith("px"):
        return measure
    return measure._replace(unit=measure.unit.replace("px", unit), values=measure.values * factor)


def _narrowed(measure: Measure, changing: float) -> Measure:
    """Scale the replicates of a stride, which hold the whole error as stated, to what it keeps."""
    lasting = 0.0 if measure.name in PERIODS else SHARED**2 * (1 - changing)
    own = measure.values[0]
    return measure._replace(values=own + np.sqrt(changing + lasting) * (measure.values - own))


def _summary(
    measures: list[Measure], numbers: list[int], changing: float, options: GaitOptions
) -> list[TrialValue]:
    groups: dict[tuple[str, str, str], list[np.ndarray]] = {}
    for each in measures:
        if each.stride in numbers and each.name not in NOT_AVERAGED:
            groups.setdefault((each.part, each.name, each.unit), []).append(each.values)
    return [_trial_value(*key, np.array(rows), changing, options) for key, rows in groups.items()]


def _trial_value(
    part: str, name: str, unit: str, rows: np.ndarray, changing: float, options: GaitOptions
) -> TrialValue:
    rows = rows[np.isfinite(rows[:, 0])]
    own = rows[:, 0]
    keep = np.ones(len(own), bool)
    if len(own) >= MIN_STRIDES:
        off = np.abs(own - np.median(own))
        noise_sd = np.median(np.nanstd(rows[:, 1:], axis=1))
        keep = off <= OUTLIER_SDS * max(ROBUST_SD * np.median(off), noise_sd)
    count, left_out = int(keep.sum()), int((~keep).sum())
    if count < MIN_STRIDES:
        remark = f"{count} strides; a mean needs {MIN_STRIDES}"
        mean = sd = low = high = noise = np.nan
        return TrialValue(part, name, unit, count, left_out, mean, sd, low, high, noise, remark)
    mean, sd = float(own[keep].mean()), float(own[keep].std(ddof=1))
    alike = 0.0 if name in PERIODS else shared_reach(rows[keep], changing, options.level)
    reach = float(np.hypot(reach_of_mean(own[keep], options.level), alike))
    drawn = np.nanmean(rows[keep][:, 1:], axis=0)
    noise = Measure(0, part, name, unit, np.array([mean, *drawn])).half_width(options.level)
    return TrialValue(
        part, name, unit, count, left_out, mean, sd, mean - reach, mean + reach, noise
    )


def reach_of_mean(values: np.ndarray, level: float) -> float:
    """Half the width of the interval of a mean of N values in their order, by Student's t.

    Neighbouring strides are alike, more or less: a correlation of one with the next makes the mean
    less sure than N free values would (Newey and West, 1987, https://doi.org/10.2307/1913610, of
    one lag). A negative one is not taken as an advantage.
    """
    count, left = len(values), values - values.mean()
    variance = (left**2).sum() / (count - 1)
    if variance == 0:
        return 0.0
    # Of few values the estimate is low, by (1 + 4 ρ) / N, and unsure. So raised, intervals of 20
    # free strides hold 93 of 100 at 0.9, and of those that share half with the next, 90.
    alike = (left[1:] * left[:-1]).sum() / (left**2).sum() + 4 / count
    spread = np.sqrt(variance * (1 + 2 * max(0.0, alike)) / count)
    return float(student.ppf(0.5 + level / 2, count - 1) * spread)


def shared_reach(rows: np.ndarray, changing: float, level: float) -> float:
    """Half the width of the interval of an error that N strides (N, R + 1) have alike.

    A model errs with the phase of the stride, and a mean keeps what it errs in each. Replicates
    hold the whole error as stated, of which the part ``changing`` differs between strides.
    """
    stated = np.nanmedian(np.nanvar(rows[:, 1:], axis=1))
    return float(SHARED * np.sqrt((1 - changing) * stated) * norm.ppf(0.5 + level / 2))


def _notes(
    trial: Trial,
    strides: list[Stride],
    odd: int,
    gait: str,
    values: list[TrialValue],
    unit: str,
) -> list[str]:
    notes = []
    if not trial.is_side_view:
        notes.append(
            "a view along the animal: hoof-on, hoof-off (which tell walk from tölt), stride "
            "length, protraction and joint angles lie across the image and are left out"
        )
    if odd:
        notes.append(f"{odd} strides left out: their durations are far from {trial.stride_s:.2f} s")
    others = Counter(stride.gait for stride in strides if stride.gait != gait)
    if others:
        said = ", ".join(f"{count} {name}" for name, count in others.items())
        notes.append(
            f"{sum(others.values())} strides are not of the {gait} and not averaged: {said}"
        )
    if strides and gait not in SYMMETRICAL:
        notes.append(f"no MinDiff and MaxDiff: they are defined in trot, and this is {gait}")
    few = sorted({each.count for each in values if each.remark})
    if few:
        notes.append(
            f"some measures are not averaged, with {few[0]} to {few[-1]} strides; a mean needs "
            f"{MIN_STRIDES}"
        )
    if unit == "px":
        notes.append("lengths in px: withers or hooves on the ground are missing")
    missing = [limb for limb in LIMBS if limb not in trial.limbs]
    if missing:
        notes.append(f"no measures of {', '.join(missing)}: their hooves are missing")
    without = [
        limb for limb in trial.limbs if trial.is_side_view and not trial.has(f"{limb}_fetlock")
    ]
    if without:
        notes.append(
            f"hoof-off of {', '.join(without)} is that of the heel: their fetlocks are missing"
        )
    return notes


def mean_curve(
    curves: Curves, level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean, SD between strides, and ends of the mean's interval, (101,) each, degrees."""
    mean, sd = curves.angles.mean(axis=0), curves.angles.std(axis=0, ddof=1)
    reach = np.array([reach_of_mean(values, level) for values in curves.angles.T])
    return mean, sd, mean - reach, mean + reach
