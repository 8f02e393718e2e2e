from dataclasses import replace

import numpy as np
import pytest

from equikpt.gait import GaitOptions, analyse
from equikpt.gait.tables import KeypointTable
from tests.gait.conftest import moving


@pytest.fixture(scope="module")
def gappy():
    trial = moving(strides=8)
    table = trial.table(1.0)
    table.xy[50:80, table.names.index("lf_fetlock")] = np.nan
    table.xy[100:103, table.names.index("withers")] = np.nan
    table.xy[120, table.names.index("withers")] += 300
    return trial, table, analyse(table, GaitOptions(mm_per_px=2.5, replicates=20)).traces


def test_points_are_where_they_were_measured_and_outliers_are_not_shown(gappy):
    _, table, traces = gappy
    assert isinstance(table, KeypointTable)
    column = traces.roles.index("withers")
    expected = table.xy[:, table.names.index("withers")].copy()
    expected[120] = np.nan
    np.testing.assert_allclose(traces.xy_px[:, column], expected)
    assert traces.forward == (1 if expected[0, 0] > table.xy[0, 8, 0] else -1)


def test_long_gaps_are_gaps_and_short_ones_are_not(gappy):
    _, _, traces = gappy
    assert np.isnan(traces.angles["lf", "fetlock"][50:80]).all()
    assert np.isnan(traces.angles["lf", "fetlock"]).sum() == 30
    assert np.isfinite(traces.angles["rf", "fetlock"]).all()
    assert np.isfinite(traces.heights["withers"]).all()


def test_heights_are_in_the_scale_and_stances_are_where_the_hooves_stand(gappy):
    trial, _, traces = gappy
    inner = slice(60, -60)
    true = trial.height_mm("tail_base")(traces.times_s)[inner]
    found = traces.heights["pelvis"][inner]
    assert traces.unit == "mm"
    assert np.std(found) == pytest.approx(np.std(true), rel=0.15)
    assert np.corrcoef(found, true)[0, 1] > 0.95
    landings = traces.stances["rh"][:, 0]
    for at in trial.on_s["rh"][1:-1]:
        assert np.nanmin(np.abs(landings - at)) < 0.02


def test_points_are_shown_in_the_image_and_measured_without_the_camera(gappy):
    trial, _, _ = gappy
    table = trial.table(1.0)
    pan = np.arange(len(table.times_s))[:, None, None] * [4.0, -0.5]
    moved = replace(table, image_xy=table.xy + pan)
    settings = GaitOptions(mm_per_px=2.5, replicates=20)
    found, still = analyse(moved, settings), analyse(table, settings)
    np.testing.assert_allclose(found.traces.xy_px, still.traces.xy_px + pan)
    assert found.value("stride", "length").mean == still.value("stride", "length").mean
