"""Noise of keypoints: its correlation between frames and draws of it.

A model that sees nearly the same image twice errs nearly alike. Radii state the whole error; what
jumps from frame to frame is a part of it, and the rest lasts. With noise of SD σ and a correlation
of ρ with the next frame, ρ² with the one after it and so on, third differences have the variance
σ² (20 - 30 ρ + 12 ρ² - 2 ρ³), which motion adds little to at 60 frames a second.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter
from scipy.stats import norm

THIRD = (-1.0, 3.0, -3.0, 1.0)
"""Weights of a third difference."""
MAX_CORRELATION = 0.8
"""Largest correlation that is taken: noise that lasts longer moves with the animal and shows in its
measures as a motion, which no replicate can tell."""
MIN_DIFFERENCES = 20
"""Fewest third differences, in x and y together, that tell a correlation."""


def correlation_of(values: np.ndarray, sigma: np.ndarray) -> float:
    """Estimate the correlation of a point's noise with that of the next frame, robustly.

    Args:
        values: (T, 2) measured.
        sigma: (T,) SD of x and of y as stated; inf at gaps.

    Returns:
        From 0 to :data:`MAX_CORRELATION`; NaN where gaps leave too few differences.
    """
    spans = np.lib.stride_tricks.sliding_window_view(sigma, len(THIRD))
    whole = np.isfinite(spans).all(axis=1)
    if 2 * whole.sum() < MIN_DIFFERENCES:
        return np.nan
    third = np.diff(values, n=3, axis=0)[whole]
    weights = np.array(THIRD) * spans[whole]
    lags = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    candidates = np.linspace(0, MAX_CORRELATION, 81)
    off = np.empty(len(candidates))
    for index, each in enumerate(candidates):
        variance = ((weights @ each**lags) * weights).sum(axis=1)
        off[index] = np.median(np.abs(third) / np.sqrt(variance)[:, None])
    return float(candidates[np.abs(off - norm.ppf(0.75)).argmin()])


def correlated(white: np.ndarray, correlation: float) -> np.ndarray:
    """Correlate white noise (…, T, 2) of SD 1 between frames; its SD stays 1."""
    white = white.copy()
    white[..., 1:, :] *= np.sqrt(1 - correlation**2)
    return lfilter([1.0], [1.0, -correlation], white, axis=-2)
