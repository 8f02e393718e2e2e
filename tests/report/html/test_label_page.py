"""The page as text, and in a browser where there is one."""

import json
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from equikpt.data_tools.verify.run import VerifyResult, to_csv, to_json, verify
from equikpt.report.html import label_page as page
from equikpt.report.html.label_page import SIDE_PX, Thumbnails, to_html
from equikpt.visualization.pose import RING_BGR
from tests.browser import open_page
from tests.data_tools.verify.conftest import people, points_of, set_points

PROBE = """
const cards = [...document.querySelectorAll("#faults article")];
const shown = () => cards.filter(visible).map((card) => card.dataset.check);
result.all = shown();
const errors = document.querySelector("input[value=error]");
change(errors, (box) => { box.checked = false; });
result.without_errors = shown();
result.count = document.getElementById("shown").textContent;
change(errors, (box) => { box.checked = true; });
const select = document.querySelector("select");
change(select, (box) => { box.value = "labelled_at_origin"; });
result.one_check = shown();
change(select, (box) => { box.value = ""; });
result.again = shown();
"""


@pytest.fixture
def spoilt(tmp_path):
    """Two errors, and a warning whose image's name would break a page that forgets to escape."""
    content = people(8)
    name = "<img src=x onerror=alert(1)> & 'quotes\".png"
    content["images"][2]["file_name"] = name.replace("/", "")
    points = points_of(content["annotations"][2])
    points[9] = points[7]
    set_points(content["annotations"][2], points)
    for index, spoil in ((4, dict(area=0)), (5, {})):
        content["annotations"][index].update(spoil)
    points = points_of(content["annotations"][5])
    points[9] = (0, 0, 2)
    set_points(content["annotations"][5], points)
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for image in content["images"]:
        pixels = rng.integers(0, 256, (260, 300, 3)).astype(np.uint8)
        encoded = cv2.imencode(".png", pixels)[1]
        (tmp_path / "images" / image["file_name"]).write_bytes(encoded.tobytes())
    (tmp_path / "labels.json").write_text(json.dumps(content))
    return verify([tmp_path / "labels.json"], [tmp_path / "images"])


FOUND = ["area_not_positive", "labelled_at_origin", "points_coincide"]


def test_what_the_page_has_the_tables_have(spoilt):
    checks = re.findall(r'<article data-check="(\w+)"', to_html(spoilt))
    assert checks == FOUND
    assert [fault["check"] for fault in json.loads(to_json(spoilt))["faults"]] == FOUND
    assert [line.split(",")[1] for line in to_csv(spoilt).splitlines()[1:]] == FOUND


def test_names_are_escaped_and_the_page_needs_nothing_from_elsewhere(spoilt):
    text = to_html(spoilt)
    assert "<img src=x" not in text
    assert "&lt;img src=x onerror=alert(1)&gt; &amp; &#39;quotes&#34;.png" in text
    sources = re.findall(r"(?:src|href)=\"([^\"]{0,30})", text)
    assert len(sources) == 4  # an icon and three thumbnails
    assert all(source.startswith("data:") for source in sources)
    assert "http" not in re.sub(r'src="[^"]*"', "", text)


def many(result: VerifyResult, count: int) -> VerifyResult:
    """As if each issue had been found ``count`` times."""
    issues = [issue for issue in result.issues for _ in range(count)]
    return VerifyResult(result.labels, [replace(issue) for issue in issues], {})


def test_thumbnails_stay_within_their_bytes_and_the_worst_have_them(spoilt):
    crowd = many(spoilt, 30)
    whole = to_html(crowd)
    limit = len(whole) // 3
    capped = to_html(crowd, max_image_bytes=limit)
    assert sum(map(len, re.findall(r'src="([^"]*)"', capped))) <= limit
    for check in FOUND:
        cards = re.findall(rf'<article data-check="{check}".*?</article>', capped, re.S)
        has_image = ["<img" in card for card in cards]
        assert has_image[0]
        assert has_image == sorted(has_image, reverse=True)
        assert not all(has_image)


def test_cards_of_a_check_are_limited_and_the_page_below_five_megabytes(spoilt):
    text = to_html(many(spoilt, 400))
    assert text.count("<article") == page.MAX_CARDS * len(FOUND)
    assert f"({400})" in text
    assert len(text.encode()) < 5_000_000


def test_a_thumbnail_marks_the_points_that_are_meant(spoilt):
    thumbnails = Thumbnails(spoilt.labels)
    issue = next(i for i in spoilt.issues if i.code == "points_coincide")
    marked, plain = (thumbnails.cell(i) for i in (issue, issue.of(keypoints=())))
    assert marked.shape == plain.shape == (SIDE_PX, SIDE_PX, 3)
    changed = (marked != plain).any(axis=-1)
    assert 20 < changed.sum() < 400
    red = (np.abs(marked.astype(int) - RING_BGR) < 30).all(axis=-1)
    assert (red & changed).sum() > 10


def test_without_images_poses_are_drawn_on_gray(tmp_path, spoilt):
    result = verify([tmp_path / "labels.json"])
    issue = next(i for i in result.issues if i.code == "points_coincide")
    cell = Thumbnails(result.labels).cell(issue)
    assert (cell == cell[0, 0]).all(axis=-1).mean() > 0.5
    assert (cell != cell[0, 0]).any()
    assert to_html(result).count("<img") == 3


@pytest.mark.parametrize("width_px", [1200, 360], ids=["desk", "phone"])
def test_the_page_works_in_a_browser(tmp_path, spoilt, width_px):
    seen, console = open_page(tmp_path, to_html(spoilt), PROBE, width_px)
    assert console == []
    assert seen["broken"] == 0
    assert seen["images"] == 3
    assert seen["all"] == seen["again"] == FOUND
    assert seen["without_errors"] == ["points_coincide"]
    assert seen["count"] == "1 of 3 shown"
    assert seen["one_check"] == ["labelled_at_origin"]
    assert seen["overflow"] == 0
    assert seen["width"] == width_px


def test_a_broken_page_would_be_seen(tmp_path, spoilt):
    """The control: an image that does not load, and an error of the script."""
    text = to_html(spoilt).replace("data:image/jpeg;base64,", "data:image/jpeg;base64,AAAA", 1)
    text = text.replace("\napply();", "\napply();\nnothing_of_that_name();")
    seen, console = open_page(tmp_path, text, PROBE, 1200)
    assert seen["broken"] == 1
    assert any("nothing_of_that_name" in line for line in console)


def test_the_page_follows_the_readers_light(tmp_path, spoilt):
    light, dark = (
        open_page(tmp_path, to_html(spoilt), PROBE, 800, dark)[0]["ground"]
        for dark in (False, True)
    )
    assert light != dark
