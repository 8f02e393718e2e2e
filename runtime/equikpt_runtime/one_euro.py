"""The One Euro filter: little jitter at rest, little lag in motion.

Casiez, Roussel and Vogel, 2012: 1 € Filter (https://doi.org/10.1145/2207676.2208639), algorithm 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from equikpt_runtime.instance import Instance


@dataclass(frozen=True)
class OneEuroOptions:
    """Strength of the smoothing.

    Args:
        min_cutoff_hz: Cut-off frequency at rest; lower is smoother.
        beta: By how many Hz the cut-off rises for each unit of speed; higher lags less.
        speed_cutoff_hz: Cut-off frequency of the speed itself; the paper's is 1.

    Raises:
        ValueError: A frequency that is not above 0, or a beta below 0.
    """

    min_cutoff_hz: float = 1.0
    beta: float = 0.0
    speed_cutoff_hz: float = 1.0

    def __post_init__(self) -> None:
        if not (self.min_cutoff_hz > 0 and self.speed_cutoff_hz > 0 and self.beta >= 0):
            raise ValueError(
                "expected cut-off frequencies above 0 Hz and beta of at least 0, got "
                f"{self.min_cutoff_hz:g}, {self.speed_cutoff_hz:g} and {self.beta:g}"
            )


class OneEuroFilter:
    """Filters an array of signals, each on its own.

    Args:
        options: As named; the unit of ``beta`` is Hz for one unit of the signal a second.

    >>> smooth = OneEuroFilter(OneEuroOptions(min_cutoff_hz=1.0))
    >>> [round(float(smooth([x_px], time_s)[0]), 2) for time_s, x_px in enumerate((0.0, 1.0, 1.0))]
    [0.0, 0.86, 0.98]
    """

    def __init__(self, options: OneEuroOptions) -> None:
        self.options = options
        self._value: np.ndarray | None = None
        self._speed = np.zeros(())
        self._time_s = np.zeros(())

    def __call__(self, values: np.ndarray, time_s: float) -> np.ndarray:
        """Filter the values at a time that rises from call to call.

        Args:
            values: Of one shape in all calls. A NaN is a gap of its signal: it stays NaN, and the
                next value is filtered over the longer time.
            time_s: Of these values, in seconds.

        Raises:
            ValueError: The time does not rise.
        """
        values = np.asarray(values, float)
        if self._value is None:
            self._value = np.full(values.shape, np.nan)
            self._speed = np.zeros(values.shape)
            self._time_s = np.full(values.shape, -math.inf)
        if (time_s <= self._time_s).any():
            raise ValueError(
                f"expected a time after {self._time_s.max():g} s, got {time_s:g} s; give values in "
                "the order of their times"
            )
        known = np.isfinite(values)
        began = known & np.isfinite(self._value)
        elapsed_s = np.where(began, time_s - self._time_s, 1.0)
        before = np.where(began, self._value, values)
        raw_speed = np.where(began, (values - before) / elapsed_s, 0.0)
        speed_alpha = _alpha(self.options.speed_cutoff_hz, elapsed_s)
        speed = np.where(began, speed_alpha * raw_speed + (1 - speed_alpha) * self._speed, 0.0)
        alpha = _alpha(self.options.min_cutoff_hz + self.options.beta * np.abs(speed), elapsed_s)
        filtered = alpha * values + (1 - alpha) * before
        self._value = np.where(known, filtered, self._value)
        self._speed = np.where(known, speed, self._speed)
        self._time_s = np.where(known, time_s, self._time_s)
        return filtered


class PoseSmoother:
    """A One Euro filter for each track of a video.

    Args:
        options: ``beta`` is for speeds in sides of the animal's box (the longer one, when it is
            first seen) a second, so that it holds for images of any size.
    """

    def __init__(self, options: OneEuroOptions) -> None:
        self.options = options
        self._filters: dict[int | None, OneEuroFilter] = {}

    def __call__(self, instances: list[Instance], time_s: float) -> list[Instance]:
        """The instances of a frame with smoothed keypoints; each track occurs once in it."""
        smoothed = []
        for instance in instances:
            if instance.track not in self._filters:
                side_px = max(1.0, float(np.max(instance.box[2:] - instance.box[:2])))
                scaled = replace(self.options, beta=self.options.beta / side_px)
                self._filters[instance.track] = OneEuroFilter(scaled)
            keypoints = self._filters[instance.track](instance.keypoints, time_s)
            smoothed.append(replace(instance, keypoints=keypoints.astype(np.float32)))
        return smoothed


def _alpha(cutoff_hz: float | np.ndarray, elapsed_s: np.ndarray) -> np.ndarray:
    """The paper's α: the fraction of a new value that is taken."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff_hz * elapsed_s))
