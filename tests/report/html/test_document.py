from __future__ import annotations

import base64
import json
import re

import cv2
import numpy as np
import pytest

from equikpt.report.html.document import document, embedded_json, jpeg_uri

HOSTILE = "</script><!-- <script>\u2028 & \"'"


def test_texts_of_embedded_json_neither_end_its_element_nor_change():
    html = embedded_json("data", dict(name=HOSTILE, values=[1.5, None]))
    inner = html.removeprefix('<script type="application/json" id="data">')
    inner = inner.removesuffix("</script>")
    assert "<" not in inner
    assert json.loads(inner) == dict(name=HOSTILE, values=[1.5, None])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_has_no_such_number(value):
    with pytest.raises(ValueError, match="JSON"):
        embedded_json("data", value)


def test_a_title_is_escaped_in_both_of_its_places():
    page = document("<b>&", "<p>body</p>", "p { color: red; }", "let x = '$title';")
    assert page.count("&lt;b&gt;&amp;") == 2
    assert "<b>" not in page
    assert "<p>body</p>" in page
    assert "p { color: red; }</style>" in page
    assert "let x = '$title';" in page


def test_a_picture_comes_back_from_its_uri():
    picture = np.full((20, 30, 3), (200, 100, 50), np.uint8)
    uri = jpeg_uri(picture)
    content = base64.b64decode(re.fullmatch(r"data:image/jpeg;base64,(.+)", uri)[1])
    again = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert again.shape == picture.shape
    assert np.abs(again.astype(int) - picture).max() <= 4
