from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from equikpt.report.diagnose.diagnoses import diagnose
from equikpt.report.html.monitor_page import comparison_page, run_page
from tests.browser import open_page
from tests.report.written_runs import config, made_state

LOSSES = np.concatenate([np.geomspace(10, 1, 60), np.geomspace(1, 90, 60)])

PROBE = """
result.rows = document.querySelectorAll("tbody tr").length;
result.issues = document.querySelectorAll(".issues p").length;
result.best = [...document.querySelectorAll("tr.best th")].map((cell) => cell.textContent);
result.curves = document.querySelectorAll(".curves svg").length;
result.ink = getComputedStyle(document.querySelector(".curves svg text")).fill;
"""


@pytest.mark.parametrize("width_px", [390, 1280], ids=["phone", "desktop"])
def test_a_run_is_one_page_with_every_curve(tmp_path, width_px):
    state = made_state(LOSSES, LOSSES[::2], config(90), grad_norm=3.0)
    page = run_page(state, diagnose(state))
    assert len(page) < 5_000_000
    result, console = open_page(tmp_path, page, PROBE, width_px)
    assert console == []
    assert result["curves"] == 4
    assert result["overflow"] <= 0
    assert result["issues"] == len(diagnose(state)) > 0
    assert result["rows"] >= 6


def test_the_dark_page_has_dark_curves(tmp_path):
    page = run_page(made_state(LOSSES), [])
    light, _ = open_page(tmp_path, page, PROBE, 600)
    dark, _ = open_page(tmp_path, page, PROBE, 600, dark=True)
    assert light["curves"] == dark["curves"] == 3
    assert light["ink"] == "rgb(28, 28, 26)"
    assert dark["ink"] == "rgb(236, 236, 232)"


def test_a_comparison_names_the_best(tmp_path):
    states = []
    for name, shift in (("mine", 0), ("other", 1)):
        state = made_state(LOSSES, LOSSES[::2] + shift, config(90))
        states.append(replace(state, run=replace(state.run, folder=tmp_path / name)))
    page = comparison_page(states)
    result, console = open_page(tmp_path, page, PROBE, 390)
    assert console == []
    assert result["overflow"] <= 0
    assert result["best"] == ["mine"]


def test_words_of_a_config_are_no_markup():
    states = [made_state(LOSSES, cfg=config(load_from=name)) for name in ("<script>", "b")]
    assert "&lt;script&gt;" in comparison_page(states)


def test_a_run_without_a_row_has_a_page():
    assert "training" in run_page(made_state([]), [])
