from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from equikpt.report.breakdown import Spread
from equikpt.report.html import plots
from equikpt.report.html.plots import BOTTOM, HEIGHT, LEFT, MOST_POINTS, RIGHT, TOP, WIDTH, Line
from equikpt.report.reliability import reliability


def line_chart(*arguments, **options) -> str:
    return plots.line_chart(*arguments, **options).html


STEPS = np.arange(1, 11, dtype=float)


def marks(svg: str, name: str) -> list[dict[str, str]]:
    """The elements of a kind of well-formed SVG."""
    root = ElementTree.fromstring(svg[: svg.index("</svg>") + len("</svg>")])
    return [dict(element.attrib) for element in root.iter(name)]


def points(svg: str) -> np.ndarray:
    """(N, 2) px of the first line."""
    text = marks(svg, "polyline")[0]["points"]
    return np.array([pair.split(",") for pair in text.split()], float)


def labels(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_a_straight_line_is_straight_and_within_its_frame():
    at = points(line_chart("Loss", [Line("loss", STEPS, 2 * STEPS)], "step"))
    assert at[:, 0] == pytest.approx(np.linspace(LEFT, WIDTH - RIGHT, 10), abs=0.06)
    assert np.diff(at[:, 1]) == pytest.approx(np.full(9, at[1, 1] - at[0, 1]), abs=0.11)
    assert (at[:, 1] <= HEIGHT - BOTTOM).all()
    assert (at[:, 1] >= TOP).all()
    assert at[0, 1] > at[-1, 1]  # larger is higher


def test_values_over_decades_are_straight_on_a_logarithmic_axis():
    svg = line_chart("Rate", [Line("lr", STEPS, 10.0**-STEPS)], "step")
    at = points(svg)
    assert np.diff(at[:, 1]) == pytest.approx(np.full(9, at[1, 1] - at[0, 1]), abs=0.11)
    assert "1e-4" in labels(svg)
    assert "Logarithmic" in marks(svg, "svg")[0]["aria-label"]


def test_gaps_are_left_out_and_nothing_is_no_chart():
    values = np.where(STEPS == 3, np.nan, STEPS)
    assert len(points(line_chart("Loss", [Line("loss", STEPS, values)], "step"))) == 9
    assert line_chart("Loss", [Line("loss", STEPS, np.full(10, np.nan))], "step") == ""
    assert line_chart("Loss", [], "step") == ""


def test_a_constant_is_drawn():
    at = points(line_chart("Rate", [Line("lr", STEPS, np.full(10, 0.5))], "step"))
    assert np.ptp(at[:, 1]) == 0


def test_long_courses_are_averaged():
    x = np.arange(10_000, dtype=float)
    lines = [
        Line("loss", x, np.tile([0.0, 2], 5000)),
        Line("frame", x[[0, -1]], np.array([0.0, 2])),
    ]
    at = points(line_chart("Loss", lines, "step"))
    assert len(at) == MOST_POINTS
    middle_px = (TOP + HEIGHT - BOTTOM) / 2  # of the mean, not of this or that value
    assert at[:, 1] == pytest.approx(np.full(MOST_POINTS, middle_px), abs=0.1 * HEIGHT)


def test_the_best_value_is_ringed_and_each_can_be_read():
    line = Line("AP", STEPS, np.sin(STEPS), dots=True)
    svg = line_chart("AP", [line], "epoch", best=1)
    *dots, ring = marks(svg, "circle")
    assert len(dots) == 10
    assert (ring["cx"], ring["cy"]) == (dots[1]["cx"], dots[1]["cy"])
    assert "epoch 2: 0.9093" in svg


def test_several_lines_have_a_legend_of_escaped_names():
    lines = [Line("<b>", STEPS, STEPS), Line("b", STEPS, -STEPS)]
    svg = line_chart("Rates", lines, "step")
    assert "<b>" not in svg
    assert "class=" in svg.split("</svg>")[1]
    assert "&lt;b&gt;" in svg.split("</svg>")[1]
    assert "legend" not in line_chart("Rates", lines[:1], "step")


def test_quartiles_are_a_bar_and_the_median_a_dot_on_it():
    parts = [Spread("seen", 5, 0.02, 0.04, 0.08, 1), Spread("hidden", 2, 0.1, 0.1, 0.1, 0.5)]
    svg = plots.spread_chart("By visibility", parts, high=0.1).html
    first, second = (mark for mark in marks(svg, "line") if mark.get("class", "") != "grid"
                     and "range" in mark["class"])  # fmt: skip
    middle = marks(svg, "circle")[0]
    assert float(first["y2"]) < float(middle["cy"]) < float(first["y1"])
    assert middle["cx"] == first["x1"] == first["x2"] != second["x1"]
    assert {"seen", "hidden", "n = 5", "10 %"} <= set(labels(svg))


def test_a_calibrated_bin_lies_on_the_diagonal():
    scores = np.full(1000, 0.25)
    right = np.arange(1000) < 250
    svg = plots.reliability_chart(reliability(scores, right.astype(float))).html
    ideal = next(mark for mark in marks(svg, "line") if mark["class"] == "ideal")
    (dot,) = marks(svg, "circle")
    x1, x2, y1, y2 = (float(ideal[key]) for key in ("x1", "x2", "y1", "y2"))
    expected = y1 + (float(dot["cx"]) - x1) / (x2 - x1) * (y2 - y1)
    assert float(dot["cy"]) == pytest.approx(expected, abs=0.2)
    assert len(marks(svg, "rect")) == 1
