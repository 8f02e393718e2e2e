"""The page as text, and in a browser where there is one."""

import base64
import dataclasses
import json
import re

import cv2
import msgspec
import numpy as np
import pandas as pd
import pytest
from mmpose.registry import METRICS

from equikpt.core.columns import Column
from equikpt.evaluation.presentation import Example, Figure, Presented
from equikpt.report.evaluation import parts_of
from equikpt.report.html.page import Report, to_html
from equikpt.report.html.render import ENVIRONMENT, jpeg_uri, shortened
from equikpt.report.run.run_folder import read_run
from tests.browser import open_page
from tests.report.made_tests import (
    META,
    made_evaluation,
    other_evaluation,
    pose,
    radiograph_table,
    write_images,
)
from tests.report.written_runs import config, write_start

HOSTILE = "</script><img src=x onerror=alert(1)>.png"
COMMANDS = [("Test", "python tools/test.py 'a & b.py' best.pth")]

PROBE = """
const table = document.getElementById("keypoints-table");
const names = () => [...table.querySelectorAll("tbody.rows th")].map((cell) => cell.textContent);
const heads = [...table.querySelectorAll("thead th")];
const head = (title) => heads.find((cell) => cell.querySelector("button")?.textContent === title);
const press = (title) => { head(title).querySelector("button").click(); return names(); };
result.start = names();
result.total = table.querySelector("tbody.total th").textContent;
result.rising = press("Median, px");
result.rising_state = head("Median, px").getAttribute("aria-sort");
result.falling = press("Median, px");
result.falling_state = head("Median, px").getAttribute("aria-sort");
result.by_name = press("Keypoint");
result.sorted_by = heads.map((cell) => cell.getAttribute("aria-sort"))
  .filter((state) => state && state !== "none").length;
const [part, measure] = ["part", "measure"].map((id) => document.getElementById(id));
result.parts = [...part.options].map((option) => option.textContent);
press("Median, px");
press("Median, px");
change(part, (box) => { box.value = 1; });
result.hidden = names();
change(part, (box) => { box.value = 0; });
result.filtered_back = names();
result.bar = () => table.querySelector("tbody.rows .range").getAttribute("x2");
result.error_bar = result.bar();
change(measure, (box) => { box.value = 0; });
result.ap_bar = result.bar();
result.plot_title = document.getElementById("plot-title").textContent;
delete result.bar;
result.alts = [...document.images].every((i) => i.alt.startsWith("Ground truth and prediction"));
const pairs = [...document.querySelectorAll("#single table.sortable")][0];
document.querySelector("#single details").open = true;
pairs.querySelectorAll("thead button")[3].click();
result.single = [...pairs.querySelectorAll("tbody.rows td:nth-child(4)")]
  .map((cell) => Number(cell.dataset.value));
result.lines = document.querySelectorAll("#curves svg").length;
const line = document.querySelector("#curves path[style*='--s0']");
result.stroke = getComputedStyle(line).stroke;
"""


@pytest.fixture
def run(tmp_path):
    cfg = config(model=dict(type="TopdownPoseEstimator", backbone=dict(type="HRNet")))
    val = {epoch: {"coco/AP": 0.1 * epoch, "val_loss": 1 / epoch} for epoch in range(1, 5)}
    write_start(tmp_path / "run", np.linspace(1, 0.2, 8).tolist(), val=val, cfg=cfg)
    return read_run(tmp_path / "run")


@pytest.fixture
def report(run, tmp_path):
    """Hooves are worse than the nose, and the hidden one is worst; one name would break a page."""
    names = write_images(tmp_path, ["a.png", "b.png", "c.png", "d.png"])
    samples = [pose((2, 12, 24 + 3 * number, 0), name) for number, name in enumerate(names)]
    samples[3] = msgspec.structs.replace(samples[3], group=HOSTILE)
    evaluation = made_evaluation(samples, grouped=True)
    return Report(run, evaluation, COMMANDS, ["A note."])


def sections(page: str) -> list[str]:
    return re.findall(r'<section id="(\w+)">', page)


def test_a_page_of_poses_has_all_sections(report):
    """Two hooves of three points are off by more than a tenth of 160 px where it is 16 px."""
    page = to_html(report)
    assert sections(page) == [
        *("trained", "curves", "scores", "keypoints", "errors", "confidence", "sides", "images"),
        *("single", "reproduce"),
    ]
    assert re.findall(r'<a href="#(\w+)">', page) == sections(page)
    assert '<p class="note">A note.</p>' in page
    assert "python tools/test.py &#39;a &amp; b.py&#39; best.pth" in page
    assert "Calibration error" in page
    assert "<b>66.7 %</b>" in page  # PCK@0.1: nose and one hoof
    assert "area 32² to 96² px²" in page
    assert "no instance of this size" in page
    assert "Labelled nowhere and left out: tail." in page


def test_keypoints_that_are_not_trained_are_named(run, tmp_path):
    """The hidden hoof is labelled in this set, the tail nowhere: neither was in training."""
    samples = [pose((2, 12, 24, 0), name) for name in write_images(tmp_path, ["a.png", "b.png"])]
    meta = META | dict(trained_keypoints=[True, True, False, False])
    made = made_evaluation(samples, meta=meta, parts=parts_of(samples, meta, (0.1,), False, 10))
    page = to_html(Report(run, made, COMMANDS, []))
    assert "No label in training, and never output: r_hoof, tail;" in page
    assert "Labelled nowhere" not in page
    assert "r_hoof (not trained)" in page
    assert "<b>100.0 %</b>" in page  # PCK@0.1 of nose and the other hoof
    assert np.isnan(made.poses().predicted[:, 2:]).all()


def test_names_do_not_become_markup_and_the_page_needs_nothing_from_elsewhere(report):
    page = to_html(report)
    assert HOSTILE not in page
    assert page.count("</script>") == page.count("<script")
    sources = re.findall(r"(?:src|href)=\"([^\"]{0,11})", page)
    assert all(source.startswith(("data:", "#")) for source in sources)
    urls = re.findall(r"https?://[^\"' <]*", page)
    assert set(urls) == {"http://www.w3.org/2000/svg"}  # a name, not an address


def test_the_page_stays_below_five_megabytes(report, tmp_path):
    """Noise, the worst image for JPEG, and many instances in many groups."""
    (name,) = write_images(tmp_path, ["noise.png"])
    samples = [pose(n % 7, name, group=f"horse {n % 16}") for n in range(320)]
    evaluation = made_evaluation(samples, grouped=True)
    page = to_html(dataclasses.replace(report, evaluation=evaluation), 1_000_000)
    assert len(page.encode()) < 2_500_000
    assert "the worst 300 of 320" in page


def test_without_a_test_there_is_what_the_folder_has(run, tmp_path):
    page = to_html(Report(run, None, [], ["No checkpoint."]))
    assert sections(page) == ["trained", "curves"]
    assert "No checkpoint." in page
    write_start(tmp_path / "new", [])
    assert "logged nothing yet" in to_html(Report(read_run(tmp_path / "new"), None, []))


KINDS = [
    pytest.param("RulerMetric", {"landmark/error_px": 1.5}, "Error of a mark", id="marks"),
    pytest.param("CountingMetric", {"pointing/F1": 0.5}, "Error of", id="things"),
    pytest.param("PixelAPMetric", {"pixel/AP": 0.25}, "Types of points", id="single points"),
    pytest.param("", {"some/metric": 3.0}, "some/metric", id="unknown metric"),
]


@pytest.mark.parametrize(("metric", "metrics", "word"), KINDS)
def test_other_tests_have_what_there_is(run, tmp_path, metric, metrics, word):
    names = write_images(tmp_path, ["a.png", "b.png"])
    counts = dict(true=[4, 4], predicted=[4, 4], matched=[1, 4], duplicates=[0, 1])
    tables = {
        "RulerMetric": radiograph_table(names),
        "CountingMetric": pd.DataFrame(dict(image=["a.png", "b.png"], **counts)),
        "PixelAPMetric": pd.DataFrame(dict(keypoint=["nose"], points=[2], **{"AP@2px": [0.5]})),
    }
    if metric == "CountingMetric":
        metrics = {**metrics, "pointing/count_MAE": 2.0}
    evaluation = other_evaluation(
        [pose(0, name) for name in names],
        metrics=metrics,
        tables={metric: tables[metric]} if metric else {},
    )
    page = to_html(Report(run, evaluation, COMMANDS))
    assert "left out: they need whole poses" in page
    assert word in page
    assert page.count("<figure>") == 2
    shown = {"trained", "curves", "scores", "images", "reproduce"}
    assert shown <= set(sections(page)) <= shown | {"single", "types"}


def test_a_metric_that_nobody_has_heard_of_presents_itself(run, tmp_path, monkeypatch):
    """What differs between tasks is asked of the metric: a new one is a class and nothing else."""

    class HoofCount(Presented):
        default_prefix = "hooves"
        primary = "off"
        legend = "Count the hooves."
        figures = {"off": Figure("mean error, hooves", "Hooves off", "mean", 1)}

        @classmethod
        def columns(cls, table):
            return dict(image=Column("Image", numbers=False), off=Column("Hooves off"))

        @classmethod
        def worst(cls, table):
            return table.sort_values("off", ascending=False)

        @classmethod
        def ranked(cls, table):
            order = table["off"].argsort(kind="stable").tolist()
            return [Example(f"{table['off'][index]} off", index) for index in order]

    monkeypatch.setitem(METRICS.module_dict, "HoofCount", HoofCount)
    names = write_images(tmp_path, ["a.png", "b.png", "c.png"])
    table = pd.DataFrame(dict(image=["a.png", "b.png", "c.png"], off=[2, 7, 0]))
    evaluation = other_evaluation(
        [pose(0, name) for name in names],
        metrics={"hooves/off": 3.0},
        tables={"HoofCount": table},
    )
    page = to_html(Report(run, evaluation, COMMANDS))
    assert "<span>Hooves off</span><b>3.0</b>" in page
    assert "mean error, hooves" in page
    assert "Count the hooves." in page
    assert re.findall(r'pin [^>]*data-value="(\w\.png)"', page) == ["b.png", "a.png", "c.png"]
    assert re.findall(r"<figcaption>(\d off)", page) == ["7 off", "2 off", "0 off"]


@pytest.mark.parametrize(("width_px", "dark"), [(1280, False), (360, True)], ids=["desk", "phone"])
def test_the_page_works_in_a_browser(tmp_path, report, width_px, dark):
    seen, console = open_page(tmp_path, to_html(report), PROBE, width_px, dark)
    assert console == []
    assert (seen["images"], seen["broken"], seen["overflow"]) == (4, 0, 0)
    assert seen["width"] == width_px
    assert seen["start"] == seen["by_name"] == ["nose", "l_hoof", "r_hoof"]
    assert seen["total"] == "all"
    assert (seen["rising"], seen["rising_state"]) == (["nose", "l_hoof", "r_hoof"], "ascending")
    assert (seen["falling"], seen["falling_state"]) == (["r_hoof", "l_hoof", "nose"], "descending")
    assert seen["sorted_by"] == 1
    assert seen["parts"][:3] == ["all points", "occluded points", "visible points"]
    assert f"group {HOSTILE}" in seen["parts"]
    assert seen["hidden"] == ["r_hoof"]
    assert seen["filtered_back"] == seen["falling"]
    assert seen["error_bar"] != seen["ap_bar"]
    assert seen["plot_title"] == "AP"
    assert seen["alts"]
    assert seen["single"] == sorted(seen["single"])
    assert len(seen["single"]) == 4
    assert seen["lines"] == 4  # loss, AP, rate, time
    assert seen["stroke"] == ("rgb(121, 184, 243)" if dark else "rgb(42, 120, 194)")
    assert seen["ground"] == ("rgb(22, 22, 20)" if dark else "rgb(246, 246, 244)")


def test_a_page_of_other_tests_works_on_a_phone(run, tmp_path):
    table = radiograph_table(write_images(tmp_path, ["a.png", "b.png", "c.png"]))
    evaluation = other_evaluation(
        [],
        metrics={"landmark/error_px": 1.0, "landmark/" + 60 * "x": 2.0},
        tables={"RulerMetric": table},
    )
    page = to_html(Report(run, evaluation, [("Test", "python " + 300 * "x")]))
    seen, console = open_page(tmp_path, page, "", 360)
    assert console == []
    assert (seen["images"], seen["broken"], seen["overflow"]) == (3, 0, 0)


def test_a_broken_page_would_be_seen(tmp_path, report):
    """The control: an image that does not load, a wide element and an error of the script."""
    text = to_html(report).replace("data:image/jpeg;base64,", "data:image/jpeg;base64,AAAA", 1)
    text = text.replace("<h1>", '<div style="width:700px">wide</div><h1>')
    text = text.replace("</main>", "</main><script>nothing_of_that_name();</script>")
    seen, console = open_page(tmp_path, text, PROBE, 360)
    assert seen["broken"] == 1
    assert seen["overflow"] > 0
    assert any("nothing_of_that_name" in line for line in console)


# --- rendering ---


def test_texts_of_embedded_json_neither_end_its_element_nor_change():
    data = dict(name="</script><!-- <script>\u2028 & \"'", values=[1.5, None])
    template = ENVIRONMENT.from_string("{{ data | tojson }}")
    inner = template.render(data=data)
    assert "<" not in inner
    assert json.loads(inner) == data
    with pytest.raises(ValueError, match="JSON"):
        template.render(data=float("nan"))


@pytest.mark.parametrize("name", sorted(ENVIRONMENT.list_templates(["j2"])))
def test_no_template_declares_text_to_be_safe_markup(name):
    source = ENVIRONMENT.loader.get_source(ENVIRONMENT, name)[0]
    assert not re.search(r"\|\s*safe|autoescape", source)
    ENVIRONMENT.get_template(name)


def test_an_image_comes_back_from_its_uri():
    image = np.full((20, 30, 3), (200, 100, 50), np.uint8)
    content = base64.b64decode(jpeg_uri(image).removeprefix("data:image/jpeg;base64,"))
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


def test_long_names_lose_their_middle():
    assert shortened("short.png") == "short.png"
    assert shortened("a" * 30 + "b" * 30, 11) == "aaaaa…bbbbb"
