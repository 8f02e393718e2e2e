"""One animal's keypoints made ready to be measured: forward and up, noise, outliers, replicates.

Intervals come by Monte Carlo and not by the delta method: events are change points and extremes,
which have no simple derivative, and the measures of a stride share frames and events. Replicates
add noise of each point's SD to what was measured and go the same way as the data, so that all that
is computed from them is joint.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from equikpt.gait.names import LIMBS as ALL_LIMBS
from equikpt.gait.names import TOP_LINE, TRUNK, hoof, match_names
from equikpt.gait.noise import (
    correlated,
    correlation_of_jumps,
    difference_variance,
    split_noise,
)
from equikpt.gait.tables import KeypointTable
from equikpt.tracks.smoothing import find_outliers, measurement_sd, noise_sd, q_of, smooth

MIN_FRAMES = 12
MAX_FRAMES = 20_000
"""Most frames of a trial, whose replicates lie in memory."""
TURNED = 0.3
"""Part of its size by which an animal that turned round points the other way."""
MIN_COHERENCE = 0.4
"""Autocorrelation of the hooves' motion below which no stride is seen."""
STRIDE_S = (0.25, 2.5)
"""Durations of a stride that are looked for."""
FIRST_CUTOFF_HZ = 6.0
OUTLIER_CUTOFF_HZ = 6.0
MIN_LIMIT = 0.015
"""Distance from its path up to which no point is an outlier, in the animal's size."""
MAX_LIMIT = 0.025
"""Distance from its path that is an outlier in any case, in the animal's size."""
MAX_LIMB_LIMIT = 0.06
"""That of the limbs below elbow and stifle, which move faster."""
FAST = ("hoof", "fetlock", "knee", "hock")
AXIAL_CUTOFF = 4.0
"""Cut-off of head and trunk in stride frequencies; ``benchmarks/gait.py`` chose it."""
LIMB_CUTOFF = 6.0
"""Cut-off of the limbs, likewise."""
MIN_SIDE_VIEW = 0.35
"""Least length of the trunk, in its height over the hooves, of a view from the side."""


@dataclass(frozen=True, kw_only=True)
class GaitOptions:
    """Settings of a measurement.

    Args:
        names: Name in the table of each role; None finds them.
        min_score: Score below which a point counts as a gap.
        radius_level: Probability that the table's radii stand for.
        level: Probability of the intervals.
        replicates: Of the Monte Carlo.
        seed: Of it.
        height_mm: Height at the withers, mm.
        mm_per_px: Scale in the plane of the animal, instead.

    Raises:
        ValueError: A value out of range, or two scales.
    """

    names: Mapping[str, str] | None = None
    min_score: float = 0.2
    radius_level: float = 0.9
    level: float = 0.9
    replicates: int = 100
    seed: int = 0
    height_mm: float | None = None
    mm_per_px: float | None = None

    def __post_init__(self) -> None:
        for name in ("level", "radius_level"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"expected {name} between 0 and 1, got {getattr(self, name):g}")
        if self.replicates < 20:
            raise ValueError(f"expected at least 20 replicates, got {self.replicates}")
        if self.height_mm is not None and self.mm_per_px is not None:
            raise ValueError("expected height_mm or mm_per_px, got both")
        for name in ("height_mm", "mm_per_px"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"expected {name} above 0, got {value:g}")


class Trial:
    """Keypoints by role, x forward and y up, in px.

    Attributes:
        times_s: (T,) of the frames.
        forward: 1 for an animal that faces right in the image, -1 for one that faces left.
        is_side_view: Whether the camera looks at the animal from the side, or along it.
        stride_s: Typical duration of a stride.
        correlation: Of the noise of each point with that of the next frame.
        changing: Part of the variance stated by the radii that changes between frames; the rest
            lasts, or comes again in each stride.
        notes: Sentences on what was left out.

    Raises:
        ValueError: Too few frames or points, or no regular strides.
    """

    def __init__(self, table: KeypointTable, options: GaitOptions) -> None:
        self.options, self.times_s = options, table.times_s
        self.notes: list[str] = []
        count = len(table.times_s)
        if not MIN_FRAMES <= count <= MAX_FRAMES:
            raise ValueError(
                f"expected from {MIN_FRAMES} to {MAX_FRAMES} frames of a trial, got {count}"
            )
        ahead = _ahead(table, match_names(table.names, options.names))
        self.forward = 1 if np.nanmedian(ahead) > 0 else -1
        self._turned = ahead * self.forward < -TURNED * _size(table)
        if self._turned.any():
            self.notes.append(
                f"{self._turned.sum()} frames in which the animal faces the other way count as gaps"
            )
        side = "left" if self.forward < 0 else "right"
        self._load(table, match_names(table.names, options.names, side))
        self._smoothed: dict[tuple[str, float], np.ndarray] = {}
        self.limbs = tuple(limb for limb in ALL_LIMBS if hoof(limb) in self.roles)
        if not self.limbs or not {*TRUNK} & {*self.roles}:
            raise ValueError(
                f"expected a hoof and a point of the trunk in {MIN_FRAMES} frames, got "
                f"{', '.join(self.roles) or 'no point'}"
            )
        self._check_view()
        self.stride_s = self._stride_s()
        self._smoothed.clear()

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles that are there."""
        return tuple(self._values)

    def has(self, *roles: str) -> bool:
        """Tell if all roles are there."""
        return all(role in self._values for role in roles)

    def gap(self, role: str, start_s: float, end_s: float) -> float:
        """Longest time without the point in a span, s."""
        inside = (self.times_s >= start_s) & (self.times_s <= end_s)
        known = self.times_s[inside & np.isfinite(self._sigma[role])]
        return float(np.diff([start_s, *known, end_s]).max())

    def given(self, role: str) -> float:
        """Part of the frames that have the point."""
        return float(np.isfinite(self._sigma[role]).mean())

    def sigma(self, role: str) -> np.ndarray:
        """SD (T,) of a point in x and in y, px; inf at gaps."""
        return self._sigma[role]

    def in_image(self, role: str) -> np.ndarray:
        """The point (T, 2) in px of each image, y down; NaN at gaps and outliers."""
        return np.where(np.isfinite(self._sigma[role])[:, None], self._seen[role], np.nan)

    def measured(self, role: str) -> np.ndarray:
        """The point (R + 1, T, 2): as measured, and R replicates of it."""
        values, sigma = self._values[role], self._sigma[role]
        rng = np.random.default_rng([self.options.seed, zlib.crc32(role.encode())])
        white = rng.normal(size=(self.options.replicates, *values.shape))
        noise = correlated(white, self.correlation)
        noise *= np.where(np.isfinite(sigma), sigma, 0.0)[:, None]
        return np.concatenate([values[None], values[None] + noise])

    def smoothed(self, role: str, cutoff: float) -> np.ndarray:
        """The point (R + 1, T, 2), smoothed; the cut-off is in stride frequencies."""
        key = (role, cutoff)
        if key not in self._smoothed:
            points = self.measured(role)
            flat = points.transpose(1, 0, 2).reshape(len(self.times_s), -1)
            sigma = self._sigma[role]
            clean = smooth(self.times_s, flat, sigma, self._q(sigma, cutoff / self.stride_s))
            self._smoothed[key] = clean.reshape(len(self.times_s), -1, 2).transpose(1, 0, 2)
        return self._smoothed[key]

    def mean_of(self, roles: Sequence[str], cutoff: float) -> np.ndarray:
        """Mean (R + 1, T, 2) of the smoothed points that are there, by their precision."""
        there = [role for role in roles if role in self._values]
        weights = np.array([1 / np.median(self._sigma[role]) ** 2 for role in there])
        weights = weights if weights.sum() > 0 else np.ones(len(there))
        stack = np.stack([self.smoothed(role, cutoff) for role in there])
        return np.einsum("n,n...->...", weights / weights.sum(), stack)

    def trunk(self, cutoff: float) -> np.ndarray:
        """Centre of the trunk (R + 1, T, 2), smoothed."""
        there = [role for role in TRUNK if role in self._values]
        return np.mean([self.smoothed(role, cutoff) for role in there], axis=0)

    def _load(self, table: KeypointTable, names: dict[str, str]) -> None:
        self._values: dict[str, np.ndarray] = {}
        self._sigma: dict[str, np.ndarray] = {}
        seen = table.xy if table.image_xy is None else table.image_xy
        self._seen = {role: seen[:, table.names.index(name)] for role, name in names.items()}
        given = self._given(table, names)
        self.correlation, self.changing, growth = 0.0, 1.0, 1.0
        if table.radii is None:
            slow = [values for role, (values, _) in given.items() if not role.endswith(FAST)]
            self.correlation = correlation_of_jumps(slow)
            growth = np.sqrt(20 / difference_variance(3, self.correlation))
        lost, size_px = 0, _size(table)
        for role, (values, stated) in given.items():
            known = np.isfinite(values).all(axis=1)
            typical = np.nan if stated is None else float(np.median(stated[known]))
            sigma = measurement_sd(len(known), growth * noise_sd(values), stated, typical)
            sigma = np.where(known, sigma, np.inf)
            q = self._q(sigma, OUTLIER_CUTOFF_HZ)
            most = MAX_LIMB_LIMIT if role.endswith(FAST) else MAX_LIMIT
            limits = MIN_LIMIT * size_px, most * size_px
            wrong = find_outliers(self.times_s, values, sigma, q, limits)
            lost += int(wrong.sum())
            self._sigma[role] = np.where(wrong, np.inf, sigma)
            self._values[role] = np.where(known[:, None], values, 0.0)
        if table.radii is not None and self._values:
            points = {role: (self._values[role], self._sigma[role]) for role in self._values}
            steady = [point for role, point in points.items() if not role.endswith(FAST)]
            self.correlation, self.changing = split_noise(points.values(), steady)
        if lost:
            total = len(self._values) * len(self.times_s)
            self.notes.append(f"{lost} of {total} points are outliers and count as gaps")

    def _given(
        self, table: KeypointTable, names: dict[str, str]
    ) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
        """Values (T, 2) of each role that is given often enough, NaN at gaps, and stated SDs."""
        factor = 1 / np.sqrt(-2 * np.log(1 - self.options.radius_level))
        found = {}
        for role, name in names.items():
            column = table.names.index(name)
            values = table.xy[:, column] * [self.forward, -1]
            known = np.isfinite(values).all(axis=1) & ~self._turned
            if table.scores is not None:
                known &= ~(table.scores[:, column] < self.options.min_score)
            stated = None if table.radii is None else factor * table.radii[:, column]
            if stated is not None:
                known &= stated > 0
            if known.sum() < max(MIN_FRAMES, 0.3 * len(known)):
                text = "given" if stated is None else "given with a radius"
                self.notes.append(
                    f"{role} left out: {text} in {known.sum()} of {len(known)} frames"
                )
                continue
            found[role] = np.where(known[:, None], values, np.nan), stated
        return found

    def _q(self, sigma: np.ndarray, cutoff_hz: float) -> float:
        known = sigma[np.isfinite(sigma)]
        step_s = float(np.median(np.diff(self.times_s)))
        return q_of(cutoff_hz, float(np.median(known)), step_s)

    def _check_view(self) -> None:
        """Tell a view from the side from one along the animal, by the trunk's length."""
        ends = [role for role in TOP_LINE[2:] if role in self._values]
        self.is_side_view = True
        if len(ends) < 2:
            return
        front, back = (self._middle(role) for role in (ends[0], ends[-1]))
        down = np.median([self._middle(hoof(limb))[1] for limb in self.limbs])
        height = front[1] - down
        known = np.isfinite(self._sigma[ends[0]]) & np.isfinite(self._sigma[ends[-1]])
        across = (self._values[ends[0]] - self._values[ends[-1]])[known, 0]
        length = abs(np.median(across)) if known.any() else abs(front[0] - back[0])
        self.is_side_view = bool(length > MIN_SIDE_VIEW * height)

    def _middle(self, role: str) -> np.ndarray:
        """Median place (2,) of a point, where it is given."""
        return np.median(self._values[role][np.isfinite(self._sigma[role])], axis=0)

    def _stride_s(self) -> float:
        """Lag of the first peak of the hooves' autocorrelation."""
        self.stride_s = 1.0  # cut-offs are in Hz until it is known
        step = float(np.median(np.diff(self.times_s)))
        even = np.arange(self.times_s[0], self.times_s[-1], step)
        trunk = self.trunk(FIRST_CUTOFF_HZ)[0]
        total = np.zeros(len(even))
        for limb in self.limbs:
            path = self.smoothed(hoof(limb), FIRST_CUTOFF_HZ)[0] - trunk
            wave = np.interp(even, self.times_s, path[:, 0 if self.is_side_view else 1])
            wave = wave - np.polyval(np.polyfit(even, wave, 1), even)
            lags = np.correlate(wave, wave, "full")[len(even) - 1 :]
            count = len(even) - np.arange(len(even))
            total += lags / lags[0] * len(even) / count
        total /= len(self.limbs)
        low, high = int(STRIDE_S[0] / step), min(int(STRIDE_S[1] / step), int(0.75 * len(even)))
        inner = np.arange(max(low, 1), high)
        is_peak = (total[inner] >= total[inner - 1]) & (total[inner] > total[inner + 1])
        peaks = inner[is_peak & (total[inner] > MIN_COHERENCE)]
        if len(peaks) == 0:
            raise ValueError(
                "found no regular strides; expected an animal that moves for at least one and a "
                "half strides in an even gait"
            )
        best = peaks[total[peaks] > 0.85 * total[peaks].max()][0]
        before, at, after = total[best - 1 : best + 2]
        return float((best + 0.5 * (before - after) / (before - 2 * at + after)) * step)


def at_times(times_s: np.ndarray, series: np.ndarray, wanted_s: np.ndarray) -> np.ndarray:
    """Series (R + 1, T) at N times, (R + 1, N), by lines between the frames."""
    after = np.searchsorted(times_s, wanted_s).clip(1, len(times_s) - 1)
    part = (wanted_s - times_s[after - 1]) / (times_s[after] - times_s[after - 1])
    return series[:, after - 1] * (1 - part) + series[:, after] * part


def _ahead(table: KeypointTable, names: dict[str, str]) -> np.ndarray:
    """Distance (T,) in px of the front of the top line to the right of its back."""
    line = [table.xy[:, table.names.index(names[role]), 0] for role in TOP_LINE if role in names]
    ahead = line[0] - line[-1]
    if not np.isfinite(ahead).any():
        raise ValueError("expected frames that show both ends of the top line, got none")
    return ahead


def _size(table: KeypointTable) -> float:
    """Typical diagonal of the box around an animal's points, px."""
    known = table.xy[np.isfinite(table.xy).all(axis=2).sum(axis=1) >= 2]
    extent = np.nanmax(known, axis=1) - np.nanmin(known, axis=1)
    return float(np.median(np.hypot(*extent.T)))
