from __future__ import annotations

import numpy as np

from equikpt.report.html.curves import panels_of_run, panels_of_runs
from equikpt.report.run.run_folder import read_run
from equikpt.report.run.run_plan import Metric
from tests.report.written_runs import config, made_state, write_start

LOSSES = np.linspace(9, 1, 12)
AP = Metric("AP", "greater")


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


def test_nothing_logged_is_no_panel():
    assert panels_of_run(made_state([]).run, None) == []
