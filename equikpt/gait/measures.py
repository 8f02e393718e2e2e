"""Measured values with their replicates, and the intervals that these give."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import norm

MIN_FINITE = 0.8
"""Least part of the replicates in which a value must have been found to have an interval."""


class Measure(NamedTuple):
    """A value of one stride.

    Args:
        stride: Number of the stride, from 0.
        part: Limb, pair of limbs, or part of the body.
        name: Of the measure.
        unit: ``s``, ``1/s``, ``deg``, ``px`` (turned into the scale's later), ``px/s`` or empty.
        values: (R + 1,) of the data and of R replicates.
    """

    stride: int
    part: str
    name: str
    unit: str
    values: np.ndarray

    def half_width(self, level: float) -> float:
        """Half the interval's width, by the SD of the replicates; NaN where many have no value."""
        found = self.values[1:][np.isfinite(self.values[1:])]
        if not np.isfinite(self.values[0]) or len(found) < MIN_FINITE * (len(self.values) - 1):
            return np.nan
        low, high = np.quantile(found, norm.cdf([-1, 1]))  # a few wild replicates count little
        return float(norm.ppf(0.5 + level / 2) * (high - low) / 2)
