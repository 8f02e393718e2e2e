import functools
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from equikpt.gait import GaitOptions, analyse
from equikpt.report.html.gait_charts import angle_charts, symmetry_charts
from equikpt.report.html.gait_page import rounded, to_html, trial_data
from tests.browser import open_page
from tests.gait.conftest import moving

PROBE = """
result.charts = document.querySelectorAll("#curves svg").length;
result.bars = document.querySelectorAll("#curves rect").length;
result.lines = document.querySelectorAll("#curves path").length;
result.shown = document.querySelectorAll("#symmetry svg, #angles svg").length;
const svg = document.querySelectorAll("#curves svg")[1];
const box = svg.getBoundingClientRect();
svg.dispatchEvent(new PointerEvent("pointerdown", {clientX: box.right - 6}));
result.end = [clock.time, page[1]];
result.cursor = svg.querySelector(".cursor").getAttribute("transform");
byId("back").click();
result.back = byId("now").textContent;
const pixels = pen.getImageData(0, 0, canvas.width, canvas.height).data;
result.drawn = pixels.some((value) => value > 0);
result.unplayable = !byId("unplayable").hidden;
"""


@functools.cache
def report_of(scale=2.5, **settings):
    trial = moving(**{"strides": 7, "pelvis_mm": (15.0, -5.0), **settings})
    return analyse(trial.table(1.0), GaitOptions(mm_per_px=scale, replicates=20))


def test_the_data_are_the_report():
    report = report_of()
    data = trial_data(report, None)
    traces = report.traces
    assert data["times"] == pytest.approx(traces.times_s, abs=1e-4)
    xy = np.reshape(data["xy"], traces.xy_px.shape)
    assert np.abs(xy - traces.xy_px).max() <= 0.05 + 1e-9
    heights, fore, hind = data["groups"]
    assert [line["name"] for line in heights["choices"][0]["lines"]] == [
        "head",
        "withers",
        "pelvis",
    ]
    pelvis = heights["choices"][0]["lines"][2]["values"]
    assert pelvis == pytest.approx(traces.heights["pelvis"], abs=0.051)
    assert [choice["name"] for choice in fore["choices"]][:3] == ["elbow", "carpus", "fetlock"]
    right_hock = hind["choices"][1]["lines"][1]
    assert right_hock["name"] == "right"
    assert right_hock["values"] == pytest.approx(traces.angles["rh", "hock"], abs=0.051)
    on = [each.values[0] for each in report.measures if (each.part, each.name) == ("lf", "hoof_on")]
    stated = [span[0] for span in data["stances"]["lf"] if span[0] is not None]
    assert all(min(abs(each - at) for at in stated) < 1e-3 for each in on)
    assert len(data["strides"]) == len(report.strides)
    assert data["strides"][0]["gait"] == "trot"


def test_the_page_holds_the_data_the_means_and_the_notes():
    report = replace(report_of(), notes=["3 points <b> are outliers"])
    page = to_html(report, "<script>", tables=("trials.csv",))
    blob = re.search(r'id="trial-data">(.*?)</script>', page, re.DOTALL)[1]
    assert json.loads(blob) == json.loads(json.dumps(trial_data(report, None)))
    assert "&lt;script&gt;: trot" in page
    assert "3 points &lt;b&gt; are outliers." in page
    assert "not a diagnosis" in page
    assert 'href="trials.csv"' in page
    mean = report.value("pelvis", "PDmin")
    assert f"PDmin {mean.mean:.1f} mm ({mean.low:.1f} to {mean.high:.1f})" in page
    assert len(page) < 1_000_000
    assert ">-0.0 " not in page


def test_thresholds_are_drawn_in_mm_alone():
    scaled, plain = report_of(), report_of(None)
    assert [chart.below.count("± ") for chart in symmetry_charts(scaled)] == [1, 0, 1]
    assert all("± " not in chart.below for chart in symmetry_charts(plain))
    for report, said in ((scaled, 0), (plain, 1)):
        page = to_html(report, "trot")
        assert page.count("No thresholds are drawn") == said
        assert "10.2460/ajvr.72.9.1156" in page


def test_a_walk_has_no_symmetry_and_few_strides_no_angles():
    page = to_html(report_of(gait="walk", strides=3, pelvis_mm=(0.0, 0.0)), "walk")
    assert "no MinDiff and MaxDiff" in page.replace("No MinDiff", "no MinDiff")
    assert 'id="symmetry"' not in page
    assert list(angle_charts(report_of(gait="walk", strides=3, pelvis_mm=(0.0, 0.0)))) == []


def test_a_view_from_behind_shows_strides_without_stances():
    report = report_of(view="rear", pelvis_mm=(15.0, -5.0))
    data = trial_data(report, None)
    assert (data["limbs"], data["stances"], len(data["groups"])) == ([], {}, 1)
    assert data["strides"]
    assert "along the animal" in to_html(report, "rear")


def test_gaps_are_null():
    assert rounded(np.array([1.26, np.nan]), 1) == [1.3, None]


@pytest.mark.parametrize("width_px", [390, 1366], ids=["phone", "desktop"])
def test_the_trial_is_drawn_and_a_click_on_a_curve_sets_the_time(tmp_path, width_px):
    report = report_of()
    result, console = open_page(tmp_path, to_html(report, "trot"), PROBE, width_px)
    assert console == []
    assert result["overflow"] <= 0
    assert (result["charts"], result["lines"], result["shown"]) == (4, 7, 11)
    assert result["bars"] >= 8
    assert result["drawn"]
    assert result["end"][0] == pytest.approx(result["end"][1], abs=0.02)
    times = report.traces.times_s
    before = times[np.searchsorted(times, result["end"][0] + 1e-3) - 2]
    assert float(result["back"].split()[0]) == pytest.approx(before, abs=0.012)


def test_a_video_that_cannot_be_played_leaves_the_figure(tmp_path):
    page = to_html(report_of(), "trot", "missing.mp4")
    result, _ = open_page(tmp_path, page, f"fallBack(); {PROBE}", 600)
    assert result["unplayable"]
    assert result["drawn"]
