"""A strip of a radiograph along a ruler: its ticks, and its likeness to the strips of other rulers.

All lengths here are fractions of the distance of the two marks, so that rulers in any size, place
and direction look the same. A strip (R, C) has a row every ``ROW`` from p1 to p2 and beyond, and a
column every ``ROW`` from left to right as seen on the way; the marks lie on its middle column.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

ROW = 0.01
AHEAD, ASIDE = 0.12, 0.18
"""Reach of a template beyond the marks, along their line and to both sides."""
SEARCH_AHEAD, SEARCH_ASIDE = 0.06, 0.08
"""Way by which a template may lie off the marks: an error of the marks is none of the ruler."""
STRETCHES = tuple(round(0.9 + 0.01 * step, 2) for step in range(21))
TURNS_DEG = (-1.5, 0.0, 1.5)
SMOOTH_SIGMA, CONTRAST_SIGMA = 0.01, 0.06
"""Gaussian blurs of a strip: against noise, and for what counts as much contrast at a place."""
MIN_CHANGE = 2.0
"""Gray values of a change along the ruler from which it counts: in less there is little to see."""
MIN_SHARE = 0.15
"""The same as a share of the strip's standard deviation: sides of a rod that the rows of px cross
aslant go up and down a little from px to px, with a period as good as that of ticks."""
_ALONG = np.array([[-1], [0], [0], [0], [1]], np.float32)
MIN_TICKS, MAX_TICKS = 3.0, 45.0
"""Ticks between two marks, of which fewer are a matter of the shape and more of noise."""
OVERSAMPLING = 16
MIN_THIRD = 0.1
"""Share of a template's variation that a third of it must have to be compared by itself."""
MIN_VARIATION = 0.1
"""Mean square of a strip of :func:`ticks_and_ends` from which a period in it can be of ticks."""


class Fit(NamedTuple):
    """The place where a template fits best near two marks.

    Args:
        likeness: Correlation there, -1 to 1.
        least: The same of the third of the ruler that is least alike.
        stretch: Length of the ruler there over the distance of the marks.
    """

    likeness: float
    least: float
    stretch: float


class Ticks(NamedTuple):
    """The strongest period of a strip between the marks.

    Args:
        spacings: Periods from mark to mark.
        strength: Share of the strip's variation along the ruler that has this period, 0 to 1.
    """

    spacings: float
    strength: float


def strip_along(
    gray: np.ndarray,
    marks: np.ndarray,
    ahead: float = AHEAD,
    aside: float = ASIDE,
    stretch: float = 1.0,
    turn_deg: float = 0.0,
) -> np.ndarray:
    """Sample a strip (R, C) float32 of an image along two marks.

    Args:
        gray: (H, W) uint8 or float32; beyond its edges its outermost px goes on.
        marks: (2, 2) p1 and p2 in px, at different places.
        ahead: Reach beyond both marks.
        aside: Reach to both sides.
        stretch: Factor on the distance of the marks, about their middle.
        turn_deg: Turn of the marks about their middle.
    """
    marks = np.asarray(marks, float)
    middle, along = marks.mean(axis=0), (marks[1] - marks[0]) * stretch
    cos, sin = math.cos(math.radians(turn_deg)), math.sin(math.radians(turn_deg))
    along = np.array([[cos, -sin], [sin, cos]]) @ along
    across = np.array([-along[1], along[0]])
    rows, columns = 1 + round((1 + 2 * ahead) / ROW), 1 + round(2 * aside / ROW)
    matrix = np.column_stack(
        [across * ROW, along * ROW, middle - (0.5 + ahead) * along - aside * across]
    )
    row_px = ROW * float(np.hypot(*along))
    if row_px > 1.5:  # a px of the strip is to see all px below it
        gray, matrix = _smoothed(gray, matrix, rows, columns, 0.4 * row_px)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    strip = cv2.warpAffine(
        gray, matrix, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return strip.astype(np.float32)


def _smoothed(
    gray: np.ndarray, matrix: np.ndarray, rows: int, columns: int, sigma_px: float
) -> tuple[np.ndarray, np.ndarray]:
    """The part of an image that a strip lies on, blurred, and the strip's map into it."""
    corners = np.array([[0, 0], [columns, 0], [0, rows], [columns, rows]], float)
    corners = corners @ matrix[:, :2].T + matrix[:, 2]
    height, width = gray.shape
    reach = math.ceil(3 * sigma_px) + 2
    left, top = np.clip(np.floor(corners.min(0)).astype(int) - reach, 0, [width - 1, height - 1])
    right, bottom = np.clip(np.ceil(corners.max(0)).astype(int) + reach, [left + 1, top + 1], None)
    part = cv2.GaussianBlur(gray[top:bottom, left:right], (0, 0), sigma_px)
    return part, np.column_stack([matrix[:, :2], matrix[:, 2] - [left, top]])


def ticks_and_ends(strip: np.ndarray) -> np.ndarray:
    """Change of the gray values along the ruler, over its local standard deviation; about -3 to 3.

    Only what crosses the line of the marks is left: ticks, marks and ends. The sides of a rod, the
    same on many rulers, and the brightness of what lies over or beneath a ruler are gone.
    """
    smooth = cv2.GaussianBlur(np.asarray(strip, np.float32), (0, 0), SMOOTH_SIGMA / ROW)
    change = cv2.filter2D(smooth, -1, _ALONG, borderType=cv2.BORDER_REPLICATE)
    variance = cv2.GaussianBlur(change**2, (0, 0), CONTRAST_SIGMA / ROW)
    least = MIN_CHANGE**2 + MIN_SHARE**2 * float(np.var(smooth))
    return change / np.sqrt(variance + least)


def fit_templates(gray: np.ndarray, marks: np.ndarray, templates: np.ndarray) -> Fit:
    """Find where and how long one of several rulers lies near two marks.

    Args:
        gray: (H, W) uint8 or float32.
        marks: (2, 2) p1 and p2 in px, at different places.
        templates: (K, R, C) float32, strips by :func:`ticks_and_ends`; mirror images count too.
    """
    ahead, aside = AHEAD + SEARCH_AHEAD, ASIDE + SEARCH_ASIDE
    looked_for = [
        np.ascontiguousarray(side) for each in templates for side in (each, each[:, ::-1])
    ]
    best, likeness = (-2.0, looked_for[0], looked_for[0]), np.full(len(STRETCHES), -1.0)
    for row, stretch in enumerate(STRETCHES):
        for turn in TURNS_DEG:
            found = ticks_and_ends(strip_along(gray, marks, ahead, aside, stretch, turn))
            for template in looked_for:
                matches = cv2.matchTemplate(found, template, cv2.TM_CCOEFF_NORMED)
                _, match, _, (left, top) = cv2.minMaxLoc(matches)
                likeness[row] = max(likeness[row], match)
                if match > best[0]:
                    rows, columns = template.shape
                    best = match, found[top : top + rows, left : left + columns], template
    at = int(np.argmax(likeness))
    stretch = STRETCHES[at] + (STRETCHES[1] - STRETCHES[0]) * _vertex(likeness, at)
    return Fit(float(likeness[at]), least_likeness(*best[1:]), stretch)


def least_likeness(strip: np.ndarray, template: np.ndarray) -> float:
    """Correlation of the third of a strip (R, C) that is least like the same third of another.

    A ruler that ends early, or has one mark right, is alike on the whole and unlike at an end.
    Thirds of the template with little to see are left out.
    """
    pairs = [
        [(each - each.mean()).ravel() for each in thirds]
        for thirds in zip(np.array_split(strip, 3), np.array_split(template, 3), strict=True)
    ]
    seen = np.array([float(third @ third) for _, third in pairs])
    found = np.array([float(third @ third) for third, _ in pairs])
    product = np.array([float(first @ second) for first, second in pairs])
    correlations = product / np.sqrt(np.maximum(seen * found, 1e-9))
    return float(correlations[seen >= MIN_THIRD * seen.sum()].min())


def read_ticks(gray: np.ndarray, marks: np.ndarray) -> Ticks:
    """Find the strongest period along the line of two marks, between them."""
    ahead = 2 * ROW
    strip = ticks_and_ends(strip_along(gray, marks, ahead))
    return strongest_period(strip[2:-2])  # the outermost rows have no neighbours


def strongest_period(strip: np.ndarray) -> Ticks:
    """Find the strongest period along a strip (R, C) that reaches from mark to mark.

    The periodograms of its columns are added up: ticks may begin or end at any of them.
    """
    rows, columns = strip.shape
    centred = np.asarray(strip, np.float64) - np.mean(strip, axis=0)
    window, size = np.hanning(rows)[:, None], OVERSAMPLING * rows
    power = (np.abs(np.fft.rfft(centred * window, size, axis=0)) ** 2).sum(axis=1)
    power /= size / 2 * columns * (window**2).sum()  # adds up to the mean square of the strip
    counts = np.arange(len(power)) / OVERSAMPLING
    inside = (counts >= MIN_TICKS) & (counts <= min(MAX_TICKS, rows / 2))
    best = int(np.flatnonzero(inside)[np.argmax(power[inside])])
    near = inside & (np.abs(counts - counts[best]) <= 2.0)  # the width of a window's peak
    count = counts[best] + _vertex(power, best) / OVERSAMPLING
    strength = power[near].sum() / (power[inside].sum() + MIN_VARIATION)
    return Ticks(float(count), float(strength))


def _vertex(values: np.ndarray, at: int) -> float:
    """Offset of the top of the parabola through a maximum and its neighbours, in steps."""
    if not 0 < at < len(values) - 1:
        return 0.0
    before, top, after = (float(value) for value in values[at - 1 : at + 2])
    bend = before - 2 * top + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0
