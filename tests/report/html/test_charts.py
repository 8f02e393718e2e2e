import io
import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from equikpt.evaluation.functional.reliability import reliability
from equikpt.report.html.charts import (
    COLOURS,
    MAX_POINTS,
    SVG_INCHES,
    THEME,
    Line,
    Panel,
    panel_chart,
    png_bytes,
    reliability_chart,
    spread_chart,
)

X = np.arange(1, 11.0)


def panel(*values, x_label: str = "epochs", **options) -> Panel:
    lines = tuple(Line(f"line {i}", X, np.asarray(y, float), i) for i, y in enumerate(values))
    return Panel("title", x_label, lines, **options)


def parsed(chart) -> ElementTree.Element:
    """The chart as XML, which an inline SVG need not be: ours is."""
    return ElementTree.fromstring(str(chart.html))


def texts(chart) -> list[str]:
    return ["".join(each.itertext()).strip() for each in parsed(chart).iter("text")]


def tips(chart) -> list[str]:
    return [each.text for each in parsed(chart).iter("title")]


def paths(chart, colour: str) -> list[np.ndarray]:
    """(N, 2) px of the vertices of each line of a colour."""
    return [
        np.array(re.findall(r"[ML] (\S+) (\S+)", each.get("d")), float)
        for each in parsed(chart).iter("path")
        if f"stroke: var({THEME[colour]})" in each.get("style", "") and "clip-path" in each.attrib
    ]


def test_a_straight_line_is_straight_and_within_its_frame():
    (line,) = paths(panel_chart(panel(2 * X)), COLOURS[0])
    slope = np.diff(line[[0, -1]], axis=0)[0]
    offsets = np.diff(line, axis=0) @ [[-slope[1]], [slope[0]]]
    assert np.abs(offsets).max() < 1e-2 * np.linalg.norm(slope)
    width, height = (72 * inches for inches in SVG_INCHES)
    assert (line >= 0).all()
    assert (line <= [width, height]).all()
    assert line[0, 1] > line[-1, 1]  # larger is higher


WIDE = [1.0, *[100] * 9]


@pytest.mark.parametrize(
    ("values", "from_zero", "is_log"),
    [
        (WIDE, False, True),
        (X + 1, False, False),
        ([-1, *WIDE[1:]], False, False),
        (WIDE, True, False),
    ],
    ids=["wide", "narrow", "not positive", "from zero"],
)
def test_a_wide_range_has_a_logarithmic_axis(values, from_zero, is_log):
    chart = panel_chart(panel(values, from_zero=from_zero))
    assert parsed(chart).get("aria-label").endswith("Logarithmic scale.") is is_log
    assert ("0" in texts(chart)) >= from_zero


def test_ticks_are_plain_numbers_and_gaps_are_drawn():
    assert {"0.0001", "1e−08"} <= set(texts(panel_chart(panel(10.0**-X))))
    assert panel_chart(panel([np.nan, np.inf, *[1.0] * 8], [np.nan] * 10, [0.5] * 10)).html


def test_a_long_line_is_thinned():
    x = np.arange(100_000.0)
    chart = panel_chart(Panel("", "steps", (Line("", x, np.sin(x)),)))
    (line,) = paths(chart, COLOURS[0])
    assert len(line) <= MAX_POINTS


def test_the_best_value_is_told_and_each_can_be_read():
    line = Line("AP", X, np.sin(X), is_marked=True, best=1)
    chart = panel_chart(Panel("AP", "epochs", (line,)))
    assert len(tips(chart)) == 10
    assert tips(chart)[1] == "epoch 2: 0.9093"
    assert chart.below == "best 0.9093 at epoch 2"
    assert "0.9093" in texts(chart)


def test_several_lines_have_a_legend_and_names_are_neither_markup_nor_mathematics():
    lines = (Line("<b>", X, X), Line("a$b$c", X, -X))
    chart = panel_chart(Panel("<i>", "steps", lines))
    assert {"<b>", "a$b$c"} <= set(texts(chart))
    assert "<b>" not in chart.html
    assert "<i>" not in chart.html
    assert "<b>" not in texts(panel_chart(Panel("", "steps", lines[:1])))


def test_a_ninth_run_is_told_from_the_first():
    chart = panel_chart(panel(*[X + i for i in range(len(COLOURS) + 1)]))
    styles = [each.get("style", "") for each in parsed(chart).iter("path")]
    of_first = [style for style in styles if f"stroke: var({THEME[COLOURS[0]]})" in style]
    assert any("dasharray" in style for style in of_first)
    assert any("dasharray" not in style for style in of_first)


def test_charts_have_the_colours_of_the_page_and_no_ids_but_of_what_they_use():
    chart = panel_chart(panel(X, X + 1, events=(3.0,)))
    assert set(re.findall(r"#[0-9a-f]{6}\b", chart.html)) == set()
    ids = set(re.findall(r' id="([^"]*)"', chart.html))
    assert ids <= set(re.findall(r"#(\w+)", chart.html))
    assert "http" not in chart.html
    assert panel_chart(panel(X, X + 1, events=(3.0,))).html == chart.html  # each time the same


def test_quartiles_are_a_bar_and_the_median_a_dot_on_it():
    names = ["part", "points", "low", "median", "high", "right"]
    rows = [("seen", 5, 0.02, 0.04, 0.08, 1.0), ("hidden", 2, 0.1, 0.1, 0.1, 0.5)]
    parts = pd.DataFrame(rows, columns=names)
    chart = spread_chart("By visibility", parts, high=0.1)
    bar = paths(chart, COLOURS[0])[0]
    (dot, *_) = [each for each in parsed(chart).iter("use") if "--s0" in each.get("style", "")]
    assert bar[1, 1] < float(dot.get("y")) < bar[0, 1]
    assert float(dot.get("x")) == pytest.approx(bar[0, 0]) == pytest.approx(bar[1, 0])
    assert tips(chart)[0] == "seen: median 4.0 %, quartiles 2.0 and 8.0 %, 5 points, 100 % right"
    assert {"seen", "hidden", "n = 5", "10 %"} <= set(texts(chart))


def test_a_calibrated_bin_lies_on_the_diagonal():
    scores = np.full(1000, 0.25)
    right = np.arange(1000) < 250
    chart = reliability_chart(reliability(scores, right.astype(float)))
    (ideal,) = paths(chart, next(c for c, name in THEME.items() if name == "--quiet"))
    (dot,) = [each for each in parsed(chart).iter("use") if "--s0" in each.get("style", "")]
    (x1, y1), (x2, y2) = ideal
    expected = y1 + (float(dot.get("x")) - x1) / (x2 - x1) * (y2 - y1)
    assert float(dot.get("y")) == pytest.approx(expected, abs=0.2)
    assert set(tips(chart)) == {"score 0.2 to 0.3: 1000 points, mean score 0.25, right 0.25"}


def test_a_png_has_all_panels():
    one, three = (
        Image.open(io.BytesIO(png_bytes([panel(X, X + 1)] * count, "mine"))) for count in (1, 3)
    )
    assert three.size == (2 * one.size[0], 2 * one.size[1])
    assert one.convert("RGB").getpixel((1, 1)) == (255, 255, 255)


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="expected a run that has logged something"):
        png_bytes([])
