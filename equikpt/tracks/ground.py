"""The ground under an animal, and a scale by its height.

Letters: T frames, L limbs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import theilslopes

SPAN_S = 1.0
"""Time in which each hoof stands at least once."""
STEADY = 0.01
"""Height over its lowest within which a hoof stands, in the animal's size."""
MIN_STANDING = 3
"""Fewest frames of a hoof that stands."""
MIN_SUPPORTS = 6
MAX_SUPPORTS = 600
MIN_WAY = 0.5
"""Way along which a slope is seen, in the animal's size; on a shorter one the ground is level."""


@dataclass(frozen=True)
class Ground:
    """A straight line, y = ``intercept_px`` + ``slope`` · x, y down; px of the stabilised frame.

    Args:
        slope: Of the line.
        intercept_px: Its y at x = 0.
        sd_px: Of the standing hooves around it.
        supports: Their number.
    """

    slope: float
    intercept_px: float
    sd_px: float
    supports: int

    def y_at(self, x: np.ndarray) -> np.ndarray:
        """Return the line's y, px."""
        return self.intercept_px + self.slope * x


def ground_line(times_s: np.ndarray, hooves: np.ndarray, size_px: float) -> Ground | None:
    """Fit the line through the hooves where they stand; None where too few do.

    Args:
        times_s: (T,).
        hooves: (T, L, 2) in px, y down; NaN where unknown.
        size_px: Of the animal.
    """
    spans = np.floor((times_s - times_s[0]) / SPAN_S).astype(int) if len(times_s) else times_s
    supports = []
    for limb in range(hooves.shape[1]):
        known = np.isfinite(hooves[:, limb]).all(axis=1)
        for span in np.unique(spans[known]):
            points = hooves[known & (spans == span), limb]
            lowest = np.quantile(points[:, 1], 0.95)
            standing = points[np.abs(points[:, 1] - lowest) <= STEADY * size_px]
            if len(standing) >= MIN_STANDING:
                supports.append(np.median(standing, axis=0))
    if len(supports) < MIN_SUPPORTS:
        return None
    x, y = np.array(supports[:: -(-len(supports) // MAX_SUPPORTS)]).T
    slope = float(theilslopes(y, x).slope) if np.ptp(x) > MIN_WAY * size_px else 0.0
    intercept = float(np.median(y - slope * x))
    off = y - intercept - slope * x
    return Ground(slope, intercept, float(1.4826 * np.median(np.abs(off))), len(supports))


def mm_per_px(ground: Ground, withers: np.ndarray, height_mm: float) -> float:
    """Return the scale by the height of the withers (T, 2) over the ground; NaN if never seen."""
    known = withers[np.isfinite(withers).all(axis=1)]
    if not len(known):
        return np.nan
    height_px = float(np.median(ground.y_at(known[:, 0]) - known[:, 1]))
    return height_mm / height_px if height_px > 0 else np.nan
