"""Noise of keypoints: its correlation between frames and draws of it.

A model that sees nearly the same image twice errs nearly alike. Radii state the whole error; what
jumps from frame to frame is a part of it, and the rest lasts. With noise of SD σ and a correlation
of ρ with the next frame, ρ² with the one after it and so on, third differences have the variance
σ² (20 - 30 ρ + 12 ρ² - 2 ρ³), which motion adds little to at 60 frames a second. Without radii the
spectrum tells: of noise that lasts there is less at half the frame rate than at a quarter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import comb

import numpy as np
from scipy.signal import lfilter
from scipy.stats import norm

THIRD = (-1.0, 3.0, -3.0, 1.0)
"""Weights of a third difference."""
MAX_CORRELATION = 0.8
"""Largest correlation that is taken: noise that lasts longer moves with the animal and shows in its
measures as a motion, which no replicate can tell."""
MAX_WITHOUT_RADII = 0.6
"""Largest correlation that is taken by the spectrum, which hardly changes beyond."""
MIN_DIFFERENCES = 20
"""Fewest third differences, in x and y together, that tell a correlation."""


Point = tuple[np.ndarray, np.ndarray]
"""Values (T, 2) and the SD (T,) of x and of y as stated, which is inf at gaps."""


def split_noise(points: Iterable[Point], slow: Iterable[Point]) -> tuple[float, float]:
    """Estimate how fast the noise of a trial changes, and how much of it does.

    Args:
        points: All.
        slow: Those whose motion adds little to third differences.

    Returns:
        Correlation of the noise with that of the next frame, and the part, up to 1, of the stated
        variance that changes so. The rest lasts, or comes again in each stride.
    """
    found = np.array([correlation_of(*each) for each in points])
    correlation = float(np.nanmedian(found)) if np.isfinite(found).any() else 0.0
    parts = np.array([changing_of(*each, correlation) for each in slow])
    changing = float(np.nanmedian(parts)) if np.isfinite(parts).any() else 1.0
    return correlation, min(1.0, changing)


def correlation_of(values: np.ndarray, sigma: np.ndarray) -> float:
    """Estimate the correlation of a point's noise with that of the next frame, robustly.

    Args:
        values: (T, 2) measured.
        sigma: (T,) SD of x and of y as stated; inf at gaps.

    Returns:
        From 0 to :data:`MAX_CORRELATION`; NaN where gaps leave too few differences.
    """
    third, sds = _third_differences(values, sigma)
    if third.size < MIN_DIFFERENCES:
        return np.nan
    candidates = np.linspace(0, MAX_CORRELATION, 81)
    off = [np.median(np.abs(third) / _expected(sds, each)) for each in candidates]
    return float(candidates[np.abs(np.array(off) - norm.ppf(0.75)).argmin()])


def changing_of(values: np.ndarray, sigma: np.ndarray, correlation: float) -> float:
    """Estimate the part of the stated variance that changes between frames, robustly.

    Args:
        values: (T, 2) measured.
        sigma: (T,) SD of x and of y as stated; inf at gaps.
        correlation: Of what changes.

    Returns:
        From 0, above 1 for more noise than is stated; NaN where gaps leave too few differences.
    """
    third, sds = _third_differences(values, sigma)
    if third.size < MIN_DIFFERENCES:
        return np.nan
    off = np.median(np.abs(third) / _expected(sds, correlation))
    return float((off / norm.ppf(0.75)) ** 2)


def _third_differences(values: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differences (N, 2) where there is no gap, and the SDs (N, 4) of their frames."""
    spans = np.lib.stride_tricks.sliding_window_view(sigma, len(THIRD))
    whole = np.isfinite(spans).all(axis=1)
    return np.diff(values, n=3, axis=0)[whole], spans[whole]


def _expected(sds: np.ndarray, correlation: float) -> np.ndarray:
    """SD (N, 1) of third differences by the SDs (N, 4) of their frames."""
    lags = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    weights = np.array(THIRD) * sds
    return np.sqrt(((weights @ correlation**lags) * weights).sum(axis=1))[:, None]


def correlation_of_jumps(paths: Sequence[np.ndarray]) -> float:
    """Estimate the correlation of noise without radii, by points that move slowly.

    Fifth differences of every second frame against those of each frame: they pass a quarter and
    half of the frame rate, where the motion of head and trunk is small.

    Args:
        paths: (T, 2) of each point; NaN at gaps.

    Returns:
        From 0 to :data:`MAX_WITHOUT_RADII`; 0 for too few differences.
    """
    found = []
    for path in paths:
        one, two = (_fifth(path, step) for step in (1, 2))
        if min(len(one), len(two)) >= MIN_DIFFERENCES and np.median(np.abs(one)) > 0:
            found.append((np.median(np.abs(two)) / np.median(np.abs(one))) ** 2)
    if not found:
        return 0.0
    candidates = np.linspace(0, MAX_WITHOUT_RADII, 61)
    expected = [
        difference_variance(5, each**2) / difference_variance(5, each) for each in candidates
    ]
    return float(candidates[np.abs(expected - np.median(found)).argmin()])


def _fifth(path: np.ndarray, step: int) -> np.ndarray:
    for _ in range(5):
        path = path[step:] - path[:-step]
    return path[np.isfinite(path)]


def difference_variance(order: int, correlation: float) -> float:
    """Variance of the n-th difference of noise of SD 1.

    >>> difference_variance(3, 0.0)
    20.0
    """
    weights = np.array([(-1.0) ** k * comb(order, k) for k in range(order + 1)])
    lags = np.abs(np.subtract.outer(np.arange(order + 1), np.arange(order + 1)))
    return float(weights @ correlation**lags @ weights)


def correlated(white: np.ndarray, correlation: float) -> np.ndarray:
    """Correlate white noise (…, T, 2) of SD 1 between frames; its SD stays 1."""
    white = white.copy()
    white[..., 1:, :] *= np.sqrt(1 - correlation**2)
    return lfilter([1.0], [1.0, -correlation], white, axis=-2)
