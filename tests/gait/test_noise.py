from dataclasses import replace

import numpy as np
import pytest

from equikpt.gait.noise import (
    MAX_CORRELATION,
    MAX_WITHOUT_RADII,
    changing_of,
    correlated,
    correlation_of,
    correlation_of_jumps,
)
from equikpt.gait.trial import GaitOptions, Trial
from equikpt.tracks.smoothing import find_outliers

TIMES_S = np.arange(800) / 60
LIMITS = (8.0, 40.0)
Q = (2 * np.pi * 6) ** 6 / 60


def noise(correlation, seed=0, count=800):
    return correlated(np.random.default_rng(seed).normal(size=(count, 2)), correlation)


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.6])
def test_the_correlation_is_found_whatever_the_sd_of_each_frame(correlation):
    sigma = np.exp(0.4 * np.random.default_rng(1).normal(size=800))
    found = correlation_of(noise(correlation) * sigma[:, None], sigma)
    assert found == pytest.approx(correlation, abs=0.06)


def test_gaps_and_outliers_do_not_count():
    sigma, values = np.ones(800), noise(0.5)
    values[::50] += 100
    sigma[7::40] = np.inf
    values[7::40] = 1e6
    assert correlation_of(values, sigma) == pytest.approx(0.5, abs=0.1)
    sigma[::3] = np.inf
    assert np.isnan(correlation_of(values, sigma))


def test_points_that_hardly_jump_have_the_largest_correlation():
    assert correlation_of(0.01 * noise(0.0), np.ones(800)) == MAX_CORRELATION


def test_the_part_that_changes_is_found_beside_what_lasts():
    lasting = np.sin(TIMES_S)[:, None] * [3.0, 2.0]
    found = changing_of(0.5 * noise(0.3) + lasting, np.ones(800), 0.3)
    assert found == pytest.approx(0.25, abs=0.05)
    assert np.isnan(changing_of(noise(0.3)[:8], np.ones(8), 0.3))


def test_correlated_noise_keeps_its_sd():
    drawn = correlated(np.random.default_rng(0).normal(size=(200, 100, 2)), 0.6)
    assert np.std(drawn, axis=0) == pytest.approx(np.ones((100, 2)), abs=0.25)
    assert np.std(drawn) == pytest.approx(1, abs=0.02)
    assert np.mean(drawn[:, 1:] * drawn[:, :-1]) == pytest.approx(0.6, abs=0.02)


def test_replicates_have_the_correlation_of_the_points(trot):
    table = trot.table(4.0, np.random.default_rng(0), correlation=0.6)
    ready = Trial(table, GaitOptions(replicates=50))
    assert ready.correlation == pytest.approx(0.6, abs=0.05)
    drawn = ready.measured("withers")
    off = (drawn[1:] - drawn[0]) / 4.0
    assert np.mean(off[:, 1:] * off[:, :-1]) == pytest.approx(ready.correlation, abs=0.03)


def test_without_radii_the_spectrum_tells_correlation_and_sd(trot):
    for correlation, limits in ((0.0, (0.0, 0.15)), (0.6, (0.5, MAX_WITHOUT_RADII))):
        table = trot.table(4.0, np.random.default_rng(0), correlation=correlation)
        ready = Trial(replace(table, radii=None), GaitOptions(replicates=20))
        assert limits[0] <= ready.correlation <= limits[1]
        sds = [np.median(ready.sigma(role)) for role in ("withers", "tail_base", "nose", "l_eye")]
        assert np.median(sds) == pytest.approx(4.0, rel=0.2)
    assert correlation_of_jumps([np.zeros((100, 2)), noise(0.5, count=8)]) == 0


def test_a_point_without_a_radius_is_left_out_and_said(trot):
    table = trot.table(2.0, np.random.default_rng(0))
    table.radii[:, table.names.index("nose")] = np.nan
    ready = Trial(table, GaitOptions(replicates=20))
    assert not ready.has("nose")
    assert any("nose left out: given with a radius in 0 of" in note for note in ready.notes)


def test_a_lost_point_is_an_outlier_and_its_neighbours_are_not():
    wave = 40 * np.sin(2 * np.pi * 1.4 * TIMES_S)
    values = np.stack([wave, wave], axis=1) + noise(0.0)
    lost = np.array([100, 300, 301, 500])
    values[lost] += np.array([[20, 0], [80, 5], [70, -80], [200, 200]])
    sigma = np.ones(800)
    sigma[500] = 0.2  # states that it is better than others
    found = find_outliers(TIMES_S, values, sigma, Q, LIMITS)
    assert np.flatnonzero(found).tolist() == lost.tolist()
    values[700] += [7, 7]  # within the lower limit
    sigma[100] = 5.0  # and so far off is no outlier for one that says so
    assert not find_outliers(TIMES_S, values, sigma, Q, LIMITS)[[100, 700]].any()


def test_all_of_the_radii_changes_where_they_are_those_of_noise(trot):
    table = trot.table(4.0, np.random.default_rng(0))
    assert Trial(table, GaitOptions(replicates=20)).changing == pytest.approx(1, abs=0.1)
    wide = replace(table, radii=10 * table.radii)
    # a hundredth of the variance, told as far as the largest correlation goes
    assert 0.01 < Trial(wide, GaitOptions(replicates=20)).changing < 0.15
