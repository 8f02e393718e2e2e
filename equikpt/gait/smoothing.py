"""Smoothing of keypoints over time that keeps extremes, with the radii as measurement noise.

The model is a Kalman filter's of constant acceleration: white noise of density q drives the third
derivative, and each measurement has its own SD. The Rauch–Tung–Striebel smoother of it is the
minimum of Σ (y − z)² / σ² + ∫ z‴² / q dt, which is solved here as one banded system (Bell, 1994:
The iterated Kalman smoother as a Gauss–Newton method, https://doi.org/10.1137/0804035). All series
that share the SDs share its factors, and a gap is a measurement without weight.

Of a series with one SD this is a filter without lag that halves the frequency
(q / (σ² Δt))^(1/6) / 2π and passes what is well below.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_solve_banded, cholesky_banded

RADIUS_PER_SIGMA = float(np.sqrt(-2 * np.log(0.1)))
"""Radius with a probability of 0.9 of a normal distribution with σ = 1 in x and in y."""
ROBUST_SD = 1.4826
"""SD of a normal distribution for a median absolute deviation of 1."""
OUTLIER_SIGMAS = 5.0


def smooth(times_s: np.ndarray, values: np.ndarray, sigma: np.ndarray, q: float) -> np.ndarray:
    """Smooth M series of T values.

    Args:
        times_s: (T,), rising.
        values: (T, M); what a gap holds does not matter.
        sigma: (T,) SD of the values; inf at a gap.
        q: Density of the third derivative's noise, units² / s⁵.

    Raises:
        ValueError: Fewer than three values.
    """
    weight = 1 / np.square(sigma)
    if (weight > 0).sum() < 3:
        raise ValueError(f"expected at least 3 values to smooth, got {(weight > 0).sum()}")
    banded = _penalty(times_s) / q
    banded[-1] += weight
    filled = np.where(weight[:, None] > 0, values, 0.0)
    return cho_solve_banded((cholesky_banded(banded), False), filled * weight[:, None])


def _penalty(times_s: np.ndarray) -> np.ndarray:
    """∫ z‴² dt as an upper banded matrix (4, T) of the values at T times."""
    at = np.stack([times_s[i : len(times_s) - 3 + i] for i in range(4)])
    gaps = at[:, None] - at[None]
    gaps[np.arange(4), np.arange(4)] = 1.0
    third = 6 / gaps.prod(axis=1)  # divided differences, (4, T - 3)
    width = (at[3] - at[0]) / 3
    banded = np.zeros((4, len(times_s)))
    for row in range(4):
        for column in range(row, 4):
            place = slice(column, len(times_s) - 3 + column)
            banded[3 - (column - row), place] += width * third[row] * third[column]
    return banded


def noise_sd(values: np.ndarray) -> float:
    """Estimate the SD of the white noise in series (T, M) by their third differences, robustly.

    Motion adds little to them at 60 frames a second; errors that last over frames are not seen.
    """
    third = np.diff(values, n=3, axis=0)
    third = third[np.isfinite(third)]
    if len(third) == 0:
        return np.nan
    return float(ROBUST_SD * np.median(np.abs(third)) / np.sqrt(20))
