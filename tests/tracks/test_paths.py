"""Paths of horses whose motion is known."""

from dataclasses import replace

import numpy as np
import pytest

from equikpt.tracks import paths as module
from equikpt.tracks.paths import FILLED, MEASURED, OUTLIER, UNSURE, PathOptions, Paths, projected
from tests.gait.conftest import moving

HOOF, WITHERS = 16, 6


def told(paths):
    """Smoothed points, radii and status (T, K, …) of one animal; frames without it are NaN."""
    shape = (len(paths.times_s), 26)
    smooth, radius = np.full((*shape, 2), np.nan), np.full(shape, np.nan)
    status = np.full(shape, -1)
    for number, poses in enumerate(paths.frames()):
        for pose in poses:
            smooth[number], radius[number], status[number] = pose.smooth, pose.radius, pose.status
    return smooth, radius, status


@pytest.fixture(scope="module")
def trot():
    return moving(strides=4)


def test_smoothing_halves_the_error_and_keeps_the_hooves_way(trot, spooled):
    table = trot.table(4.0, np.random.default_rng(0))
    smooth, radius, status = told(Paths(spooled(table), None))
    error = np.linalg.norm(smooth - trot.xy_px, axis=-1)
    raw = np.linalg.norm(table.xy - trot.xy_px, axis=-1)
    assert error[:, WITHERS].mean() < 0.6 * raw[:, WITHERS].mean()
    assert error[:, HOOF].mean() < 0.8 * raw[:, HOOF].mean()
    highest = smooth[:, HOOF, 1].min() - trot.xy_px[:, HOOF, 1].min()
    assert abs(highest) < 4
    assert (status == MEASURED).all()
    assert 0.85 < (error < radius).mean() < 0.97


def test_short_gaps_are_filled_and_long_ones_are_not(trot, spooled):
    table = trot.table(2.0, np.random.default_rng(0))
    scores = np.ones(table.xy.shape[:2])
    scores[50:53, HOOF] = scores[70:100, HOOF] = 0.1
    smooth, radius, status = told(Paths(spooled(table, scores=scores), None))
    assert (status[50:53, HOOF] == UNSURE).all()
    error = np.linalg.norm(smooth[50:53, HOOF] - trot.xy_px[50:53, HOOF], axis=-1)
    assert (error < 12).all()
    assert (radius[50:53, HOOF] > radius[49, HOOF]).all()
    assert np.isnan(smooth[75:95, HOOF]).all()
    assert np.isfinite(smooth[75:95, WITHERS]).all()
    none = told(Paths(spooled(table, scores=scores), None, PathOptions(max_sd=0.0)))[0]
    assert np.isnan(none[50:53, HOOF]).all()


def test_frames_without_the_animal_are_filled_alike(trot, spooled):
    table = trot.table(2.0, np.random.default_rng(0))
    xy = table.xy.copy()
    xy[60:63] = np.nan
    smooth, _, status = told(Paths(spooled(replace(table, xy=xy)), None))
    assert (status[60:63] == FILLED).all()
    assert np.isfinite(smooth[60:63, WITHERS]).all()
    assert np.abs(smooth[60:63, WITHERS] - trot.xy_px[60:63, WITHERS]).max() < 6


def test_an_outlier_is_marked_and_replaced(trot, spooled):
    table = trot.table(2.0, np.random.default_rng(0))
    table.xy[40, HOOF] += 150
    smooth, _, status = told(Paths(spooled(table), None))
    assert np.argwhere(status == OUTLIER).tolist() == [[40, HOOF]]
    assert np.linalg.norm(smooth[40, HOOF] - trot.xy_px[40, HOOF]) < 12


def test_a_gap_makes_no_outliers_beside_it(trot, spooled):
    table = trot.table(1.0, np.random.default_rng(0))
    scores = np.ones(table.xy.shape[:2])
    for start in range(20, 150, 36):
        scores[start : start + 24, HOOF] = 0.1
    _, _, status = told(Paths(spooled(table, scores=scores), None))
    assert not (status == OUTLIER).any()


def test_windows_say_what_one_says(trot, spooled, monkeypatch):
    table = trot.table(3.0, np.random.default_rng(0))
    spool = spooled(table)
    whole, _, _ = told(Paths(spool, None))
    monkeypatch.setattr(module, "WINDOW", 40)
    cut = Paths(spool, None)
    cut.noise = Paths(spool, None).noise
    np.testing.assert_allclose(told(cut)[0], whole, atol=0.02)


def test_two_animals_keep_apart(trot, spooled):
    table = trot.table(1.0, np.random.default_rng(0))
    other = replace(table, xy=table.xy + 500)
    frames = [*Paths(spooled(table, other), None).frames()]
    assert [[pose.track for pose in poses] for poses in frames] == [[1, 2]] * len(frames)
    first, second = frames[30]
    np.testing.assert_allclose(second.smooth - first.smooth, 500, atol=0.01)


def test_the_stabilised_frame_takes_the_camera_s_shake_away(trot, spooled):
    generator = np.random.default_rng(1)
    shift = generator.normal(0, 30, (len(trot.times_s), 2))
    shaken = trot.table(2.0, np.random.default_rng(0))
    shaken = replace(shaken, xy=shaken.xy + shift[:, None])
    to_still = np.tile(np.eye(3), (len(shift), 1, 1))
    to_still[:, :2, 2] = -shift
    truth = trot.xy_px + shift[:, None]
    steady = told(Paths(spooled(shaken), to_still))[0]
    assert np.abs(steady - truth)[:, WITHERS].mean() < 1.5
    blind = told(Paths(spooled(shaken), None))[0]
    assert np.abs(blind - truth)[:, WITHERS].mean() > 5
    pose = next(Paths(spooled(shaken), to_still).frames())[0]
    np.testing.assert_allclose(pose.still, pose.points[:, :2] - shift[0], atol=0.01)


def test_points_are_projected():
    turned = np.array([[[0.0, -1, 5], [1, 0, 0], [0, 0, 2]]])
    np.testing.assert_allclose(projected(turned, np.array([[[1.0, 3.0]]])), [[[1.0, 0.5]]])
