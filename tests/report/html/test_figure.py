from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from equikpt.report.html.curves import Line, Panel
from equikpt.report.html.figure import COLOURS, draw, png_bytes, svg_uri

X = np.arange(10.0)


def panel(*values, **options) -> Panel:
    lines = tuple(Line(str(i), X, np.asarray(y, float), i) for i, y in enumerate(values))
    return Panel("title", "epochs", lines, **options)


def test_a_panel_of_each_line_in_its_place():
    figure = draw([panel(X, X + 1), panel(X)], "mine")
    first, second = figure.axes
    assert len(first.get_lines()) == 2
    assert [text.get_text() for text in first.get_legend().get_texts()] == ["0", "1"]
    assert second.get_legend() is None
    assert figure.get_suptitle() == "mine"


@pytest.mark.parametrize(
    ("values", "scale"),
    [([1.0, *[100] * 9], "log"), (X + 1, "linear"), ([-1, *[100] * 9], "linear")],
    ids=["wide", "narrow", "not positive"],
)
def test_a_wide_range_has_a_logarithmic_axis(values, scale):
    (axes,) = draw([panel(values)]).axes
    assert axes.get_yscale() == scale


def test_shares_of_a_whole_begin_at_zero():
    (axes,) = draw([panel([1.0, *[100] * 9], from_zero=True)]).axes
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim()[0] == 0


def test_a_line_with_gaps_and_infinite_values_is_drawn():
    assert png_bytes(draw([panel([np.nan, np.inf, *[1.0] * 8]), panel([np.nan] * 10)]))


def test_a_long_line_is_thinned():
    x = np.arange(100_000.0)
    (axes,) = draw([Panel("", "steps", (Line("", x, x),))]).axes
    assert len(axes.get_lines()[0].get_xdata()) <= 1000


def test_the_best_value_is_pointed_out():
    line = Line("", X, X**2, is_marked=True, best=3)
    (axes,) = draw([Panel("", "epochs", (line,))]).axes
    assert [text.get_text() for text in axes.texts] == ["9"]


def test_a_ninth_run_is_told_from_the_first():
    (axes,) = draw([panel(*[X] * (len(COLOURS) + 1))]).axes
    first, *_, last = axes.get_lines()
    assert first.get_color() == last.get_color()
    assert first.get_linestyle() != last.get_linestyle()


def test_files_of_both_kinds_and_grounds():
    picture = Image.open(io.BytesIO(png_bytes(draw([panel(X)]))))
    assert picture.convert("RGB").getpixel((1, 1)) == (255, 255, 255)
    dark = Image.open(io.BytesIO(png_bytes(draw([panel(X)], dark=True))))
    assert sum(dark.convert("RGB").getpixel((1, 1))) < 150
    head, content = svg_uri(draw([panel(X)])).split(",")
    assert head == "data:image/svg+xml;base64"
    assert b"<svg" in base64.b64decode(content)
    assert svg_uri(draw([panel(X)])) == svg_uri(draw([panel(X)]))


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="expected a run that has logged something"):
        draw([])
