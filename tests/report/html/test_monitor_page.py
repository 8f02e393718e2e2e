from dataclasses import replace

import numpy as np
import pytest

from equikpt.report.diagnose import diagnose
from equikpt.report.html.monitor_page import (
    comparison_page,
    panels_of_run,
    panels_of_runs,
    run_page,
)
from equikpt.report.run.run_folder import read_run
from equikpt.report.run.run_state import Metric
from tests.browser import open_page
from tests.report.written_runs import config, made_state, write_start

DIVERGING = np.concatenate([np.geomspace(10, 1, 60), np.geomspace(1, 90, 60)])
LOSSES = np.linspace(9, 1, 12)
AP = Metric("AP", "greater")


PROBE = """
result.rows = document.querySelectorAll("tbody tr").length;
result.issues = document.querySelectorAll(".issues p").length;
result.best = [...document.querySelectorAll("tr.best th")].map((cell) => cell.textContent);
result.curves = document.querySelectorAll(".curves svg").length;
result.ink = getComputedStyle(document.querySelector(".curves svg text")).fill;
"""


@pytest.mark.parametrize("width_px", [390, 1280], ids=["phone", "desktop"])
def test_a_run_is_one_page_with_every_curve(tmp_path, width_px):
    state = made_state(DIVERGING, DIVERGING[::2], config(90), grad_norm=3.0)
    page = run_page(state, diagnose(state))
    assert len(page) < 5_000_000
    result, console = open_page(tmp_path, page, PROBE, width_px)
    assert console == []
    assert result["curves"] == 4
    assert result["overflow"] <= 0
    assert result["issues"] == len(diagnose(state)) > 0
    assert result["rows"] >= 6


def test_the_dark_page_has_dark_curves(tmp_path):
    page = run_page(made_state(DIVERGING), [])
    light, _ = open_page(tmp_path, page, PROBE, 600)
    dark, _ = open_page(tmp_path, page, PROBE, 600, dark=True)
    assert light["curves"] == dark["curves"] == 3
    assert light["ink"] == "rgb(28, 28, 26)"
    assert dark["ink"] == "rgb(236, 236, 232)"


def test_a_comparison_names_the_best(tmp_path):
    states = []
    for name, shift in (("mine", 0), ("other", 1)):
        state = made_state(DIVERGING, DIVERGING[::2] + shift, config(90))
        states.append(replace(state, run=replace(state.run, folder=tmp_path / name)))
    page = comparison_page(states)
    result, console = open_page(tmp_path, page, PROBE, 390)
    assert console == []
    assert result["overflow"] <= 0
    assert result["best"] == ["mine"]


def test_words_of_a_config_are_no_markup():
    states = [made_state(DIVERGING, cfg=config(load_from=name)) for name in ("<script>", "b")]
    assert "&lt;script&gt;" in comparison_page(states)


def test_a_run_without_a_row_has_a_page_without_curves():
    assert "training" in run_page(made_state([]), [])
    assert panels_of_run(made_state([]).run, None) == []


# --- curves ---


def titled(panels) -> dict:
    return {panel.title: panel for panel in panels}


def test_a_panel_for_each_thing_that_was_logged():
    metrics = dict(AP=[0.1, 0.9, *[0.3] * 4])
    state = made_state(LOSSES, LOSSES[::2], metrics=metrics, lr_head=1.0, lr_neck=2.0)
    panels = titled(panels_of_run(state.run, AP))
    assert list(panels) == ["loss", "AP", "learning rate", "seconds a step"]
    assert [line.label for line in panels["learning rate"].lines] == ["head", "neck"]
    assert [line.label for line in panels["loss"].lines] == ["training", "validation"]
    assert panels["AP"].lines[0].best == 1
    assert panels["AP"].lines[0].x.tolist() == [1, 2, 3, 4, 5, 6]


def test_terms_and_norms_where_there_are_several():
    state = made_state(LOSSES, loss_x=1.0, loss_y=2.0, grad_norm=1.0, grad_norm_head=0.5)
    panels = titled(panels_of_run(state.run, None))
    assert [line.label for line in panels["loss by term"].lines] == ["x", "y"]
    assert len(panels["norm of the gradient"].lines) == 2


def test_a_single_outlier_does_not_bend_the_smoothed_line():
    losses = LOSSES.copy()
    losses[6] = 1000
    line = titled(panels_of_run(made_state(losses).run, None))["loss"].lines[0]
    assert line.raw[6] == 1000
    assert line.y.max() < 10


def test_rows_are_placed_in_epochs_and_in_a_run_by_steps_in_steps(tmp_path):
    state = made_state(LOSSES)
    panel = panels_of_run(state.run, None)[0]
    assert (panel.x_label, panel.lines[0].x[:2].tolist()) == ("epochs", [0.5, 1.0])
    folder = write_start(tmp_path, [1.0, 2.0], record=False)
    scalars = folder / "vis_data" / "scalars.json"
    scalars.write_text(scalars.read_text().replace('"epoch": 1, ', ""))
    panel = panels_of_run(read_run(tmp_path), None)[0]
    assert (panel.x_label, panel.lines[0].x.tolist()) == ("steps", [10, 20])


def test_starts_and_phases_are_marked(tmp_path):
    phases = [dict(name="a", begin=0, frozen_stages=1), dict(name="b", begin=2, frozen_stages=0)]
    cfg = config(custom_hooks=[dict(type="StageUnfreezeHook", phases=phases)])
    write_start(tmp_path, [1.0, 1.0])
    write_start(tmp_path, [1.0] * 4, begin="20260102_100000", epochs_before=1, cfg=cfg)
    assert panels_of_run(read_run(tmp_path), None)[0].events == (1, 2)


def test_runs_lie_over_one_another_and_over_time():
    states = [made_state(LOSSES, metrics=dict(AP=[0.1, value])) for value in (0.3, 0.5)]
    states.append(made_state(LOSSES))
    panels = panels_of_runs(["a", "b", "c"], [state.run for state in states], AP)
    assert [panel.title for panel in panels] == ["training loss", "AP", "learning rate", "AP"]
    assert [line.label for line in panels[0].lines] == ["a", "b", "c"]
    assert [line.colour for line in panels[1].lines] == [0, 1]
    assert panels[-1].x_label == "hours"
    assert panels[-1].lines[0].x.tolist() == [21 / 3600, 42 / 3600]
