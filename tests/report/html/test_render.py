from __future__ import annotations

import base64
import json
import re

import cv2
import numpy as np
import pytest

from equikpt.evaluation.presentation import Column, number
from equikpt.report.html.render import ENVIRONMENT, jpeg_uri, render, shortened

HOSTILE = "</script><!-- <script>\u2028 & \"'"


def test_texts_of_embedded_json_neither_end_its_element_nor_change():
    inner = ENVIRONMENT.from_string("{{ data | tojson }}").render(
        data=dict(name=HOSTILE, values=[1.5, None])
    )
    assert "<" not in inner
    assert json.loads(inner) == dict(name=HOSTILE, values=[1.5, None])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_has_no_such_number(value):
    with pytest.raises(ValueError, match="JSON"):
        ENVIRONMENT.from_string("{{ data | tojson }}").render(data=value)


def test_a_title_is_escaped_in_both_of_its_places():
    page = render("base.html.j2", title="<b>&")
    assert page.count("&lt;b&gt;&amp;") == 2
    assert "<b>" not in page


@pytest.mark.parametrize("name", sorted(ENVIRONMENT.list_templates(["j2"])))
def test_every_template_escapes_what_it_is_given(name):
    """No template, and no filter in one, declares text to be safe markup."""
    source = ENVIRONMENT.loader.get_source(ENVIRONMENT, name)[0]
    assert not re.search(r"\|\s*safe|autoescape", source)
    ENVIRONMENT.get_template(name)


def test_an_image_comes_back_from_its_uri():
    image = np.full((20, 30, 3), (200, 100, 50), np.uint8)
    uri = jpeg_uri(image)
    content = base64.b64decode(re.fullmatch(r"data:image/jpeg;base64,(.+)", uri)[1])
    again = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert again.shape == image.shape
    assert np.abs(again.astype(int) - image).max() <= 4


@pytest.mark.parametrize(
    ("value", "text", "key"),
    [(1.25, "1.2", "1.25"), (None, "–", ""), (float("nan"), "–", ""), ("a<b", "a<b", "a<b")],
)
def test_cells_are_shown_rounded_and_sorted_exactly(value, text, key):
    column = Column("", digits=1)
    assert (column.text(value), column.key(value)) == (text, key)


def test_numbers_and_long_names():
    assert number(2.0, 0) == "2"
    assert shortened("short.png") == "short.png"
    assert shortened("a" * 30 + "b" * 30, 11) == "aaaaa…bbbbb"
