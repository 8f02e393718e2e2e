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
MIN_SIGMA_PX = 0.1
"""Least SD of a point: no point is known better."""
MIN_EXCESS = 1.5
"""Scatter over the stated SD from which the scatter counts."""
MIN_PATH = 12
"""Fewest points of a path that outliers are told by."""
OUTLIER_SPREAD = 3.5
"""Distance of an outlier from its path in the 90 % quantile of all. A path rounds landings off: of
points of walk, trot, canter and gallop at 30 and 60 frames a second those beyond 3.3 lie within
``MIN_LIMIT`` of :mod:`~equikpt.gait.trial`."""
MAX_ROUNDS = 10
"""Rounds in which outliers are looked for."""


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
    weight = _weights(sigma)
    filled = np.where(weight[:, None] > 0, values, 0.0)
    return cho_solve_banded((_factor(times_s, weight, q), False), filled * weight[:, None])


def smooth_with_sd(
    times_s: np.ndarray, values: np.ndarray, sigma: np.ndarray, q: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Smooth K points (T, K, 2), each with SDs and a q of its own, and say how sure it is.

    Args:
        times_s: (T,), rising.
        values: (T, K, 2).
        sigma: (T, K) SD in x and in y; inf at a gap.
        q: (K,).

    Returns:
        The points (T, K, 2), and their posterior SDs (T, K), which hold where the errors of one
        frame say nothing of those of the next.

    Raises:
        ValueError: Fewer than three values of a point.
    """
    points, factors = np.empty(values.shape), []
    for index in range(values.shape[1]):
        weight = _weights(sigma[:, index])
        factors.append(_factor(times_s, weight, q[index]))
        weighted = np.where(weight[:, None] > 0, values[:, index], 0.0) * weight[:, None]
        points[:, index] = cho_solve_banded((factors[-1], False), weighted)
    return points, posterior_sd(np.stack(factors, axis=-1))


def posterior_sd(factors: np.ndarray) -> np.ndarray:
    """Return the SDs (T, K) of K smoothed series by the Cholesky factors of their systems.

    They are the roots of the inverse's diagonal, of which the band alone is computed, from the
    last row up (Takahashi et al., 1973; Erisman and Tinney, 1975,
    https://doi.org/10.1145/360680.360704).

    Args:
        factors: (4, T, K) upper banded, as scipy's ``cholesky_banded`` gives them.
    """
    count, series = factors.shape[1:]
    padded = np.concatenate([factors, np.zeros((4, 3, series))], axis=1)
    block = np.zeros((3, 3, series))  # of the inverse: the three rows below
    variance = np.empty((count, series))
    for row in range(count - 1, -1, -1):
        own = factors[3, row]
        below = np.stack([padded[2 - k, row + 1 + k] for k in range(3)]) / own
        across = -(block * below).sum(axis=1)
        variance[row] = 1 / own**2 - (below * across).sum(axis=0)
        block[1:, 1:] = block[:2, :2].copy()
        block[0, 0] = variance[row]
        block[0, 1:] = block[1:, 0] = across[:2]
    return np.sqrt(variance)


def _weights(sigma: np.ndarray) -> np.ndarray:
    weight = 1 / np.square(sigma)
    if (weight > 0).sum() < 3:
        raise ValueError(f"expected at least 3 values to smooth, got {(weight > 0).sum()}")
    return weight


def _factor(times_s: np.ndarray, weight: np.ndarray, q: float) -> np.ndarray:
    """The Cholesky factor (4, T) of the system, upper banded."""
    banded = _penalty(times_s) / q
    banded[-1] += weight
    return cholesky_banded(banded)


def q_of(cutoff_hz: float, sigma: float, step_s: float) -> float:
    """Return the q that halves a frequency in a series of one SD, units² / s⁵.

    Args:
        cutoff_hz: The frequency; a series shows none above 0.4 / ``step_s``.
        sigma: SD of its values.
        step_s: Time between two of them.
    """
    cutoff_hz = min(cutoff_hz, 0.4 / step_s)
    return float((2 * np.pi * cutoff_hz) ** 6 * sigma**2 * step_s)


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


def measurement_sd(
    count: int, scatter: float, stated: np.ndarray | None = None, typical: float = np.nan
) -> np.ndarray:
    """Return the SD (T,) of a point in x and in y: as stated, unless it scatters far more.

    Args:
        count: T frames.
        scatter: SD of its noise, of :func:`noise_sd`.
        stated: (T,) SDs by the radii; None without radii.
        typical: Median of these.
    """
    scatter = max(scatter, MIN_SIGMA_PX)
    if stated is None:
        return np.full(count, scatter)
    excess = scatter / typical
    return np.maximum(stated * (excess if excess > MIN_EXCESS else 1.0), MIN_SIGMA_PX)


def find_outliers(
    times_s: np.ndarray,
    values: np.ndarray,
    sigma: np.ndarray,
    q: float,
    limits: tuple[float, float],
) -> np.ndarray:
    """Find the points (T,) that lie off their smoothed path, the worst first, then by what is left.

    Off is what the SD does not explain and what is unusual among the point's own distances, which
    hold what such a path rounds off. A lost point may well state a small SD: the path goes by all
    alike.

    Args:
        times_s: (T,) of the frames, rising.
        values: (T, 2) px.
        sigma: (T,) SD, px; inf at gaps.
        q: As of :func:`smooth`, for the median SD.
        limits: Distances from the path, in x or in y, px, up to which no point is unusual and from
            which any is.
    """
    wrong, known = np.zeros(len(sigma), bool), np.isfinite(sigma)
    noise = OUTLIER_SIGMAS * np.where(known, sigma, 1.0)
    for _ in range(MAX_ROUNDS):
        if (known & ~wrong).sum() < MIN_PATH:
            break
        alike = np.median(sigma[known])
        path = smooth(times_s, values, np.where(known & ~wrong, alike, np.inf), q)
        distance = np.abs(values - path).max(axis=1)
        usual = OUTLIER_SPREAD * np.quantile(distance[known & ~wrong], 0.9)
        off = np.where(known, distance / np.maximum(noise, np.clip(usual, *limits)), 0.0)
        if not (off[~wrong] > 1).any():
            return wrong & (off > 1)  # without those that only a neighbour had pulled off
        # beside a large one its neighbours look wrong as well
        wrong |= off >= max(1.0, 0.5 * off[~wrong].max())
    return wrong & known
