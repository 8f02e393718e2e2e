import numpy as np
import pytest

from equikpt.tracks.smoothing import find_outliers, noise_sd, smooth, smooth_with_sd

TIMES = np.arange(0, 3, 1 / 60)


def q_of(cutoff_hz, sigma=1.0):
    return (2 * np.pi * cutoff_hz) ** 6 * sigma**2 / 60


def test_a_parabola_passes_as_it_is_at_uneven_times():
    generator = np.random.default_rng(0)
    times = np.cumsum(generator.uniform(0.005, 0.04, 80))
    values = np.stack([times**2, 3 - times], axis=1)
    np.testing.assert_allclose(smooth(times, values, np.ones(80), 1e4), values, atol=1e-3)


@pytest.mark.parametrize(
    ("hz", "gain"), [(1.0, 1.0), (6.0, 0.5), (20.0, 0.0)], ids=["below", "at", "above"]
)
def test_the_cutoff_halves_its_frequency(hz, gain):
    wave = np.sin(2 * np.pi * hz * TIMES)
    passed = smooth(TIMES, wave[:, None], np.ones(len(TIMES)), q_of(6.0))[:, 0]
    inner = slice(40, -40)
    found = (passed[inner] @ wave[inner]) / (wave[inner] @ wave[inner])
    assert found == pytest.approx(gain, abs=0.03)


def test_unsure_values_and_gaps_are_carried_by_the_others():
    wave = np.sin(2 * np.pi * TIMES)
    spoilt, sigma = wave.copy(), np.ones(len(TIMES))
    spoilt[60:64] += 5
    sigma[60:64] = 1e3
    spoilt[100:103], sigma[100:103] = np.nan, np.inf
    passed = smooth(TIMES, spoilt[:, None], sigma, q_of(6.0))[:, 0]
    np.testing.assert_allclose(passed[10:-10], wave[10:-10], atol=0.01)
    even = smooth(TIMES, np.nan_to_num(spoilt)[:, None], np.ones(len(TIMES)), q_of(6.0))[:, 0]
    assert np.abs(even - wave)[55:70].max() > 1  # without the SDs it is lost


def test_too_few_values_are_refused():
    with pytest.raises(ValueError, match="at least 3"):
        smooth(TIMES, TIMES[:, None], np.full(len(TIMES), np.inf), 1.0)


def test_the_noise_is_found_under_the_motion():
    generator = np.random.default_rng(0)
    moving = 400 * np.sin(2 * np.pi * 1.4 * TIMES)[:, None] + generator.normal(0, 3, (180, 2))
    assert noise_sd(moving) == pytest.approx(3, rel=0.25)
    assert np.isnan(noise_sd(np.full((20, 2), np.nan)))


def test_the_posterior_sd_is_that_of_the_dense_inverse():
    generator = np.random.default_rng(0)
    times = np.cumsum(generator.uniform(0.01, 0.03, 60))
    sigma = generator.uniform(0.5, 3, (60, 2))
    sigma[20:28, 0] = np.inf
    q = np.array([1e4, 1e6])
    identity = np.eye(60)
    _, sd = smooth_with_sd(times, np.zeros((60, 2, 2)), sigma, q)
    for k in range(2):
        # smoothing is linear: its response to unit values, times their variances, is the inverse
        known = np.isfinite(sigma[:, k])
        response = smooth(times, identity, sigma[:, k], q[k])[:, known] * sigma[known, k] ** 2
        np.testing.assert_allclose(sd[known, k] ** 2, np.diag(response[known]), rtol=1e-5)
    assert sd[24, 0] > 1.1 * sd[19, 0]


def test_the_posterior_sd_holds_the_error_where_errors_are_independent():
    generator = np.random.default_rng(0)
    path = np.stack([np.sin(2 * np.pi * TIMES), np.cos(3 * TIMES)], axis=1)
    errors = []
    for _ in range(20):
        noisy = path + generator.normal(0, 0.1, path.shape)
        sigma = np.full((180, 1), 0.1)
        found, sd = smooth_with_sd(TIMES, noisy[:, None], sigma, np.array([q_of(8.0, 0.1)]))
        errors.append((found[:, 0] - path) / sd)
    assert np.std(errors) == pytest.approx(1, abs=0.15)


def test_outliers_are_told_from_a_fast_path():
    generator = np.random.default_rng(0)
    path = 300 * np.stack([np.sin(9 * TIMES), np.cos(9 * TIMES)], axis=1)
    noisy = path + generator.normal(0, 2, path.shape)
    assert not find_outliers(TIMES, noisy, np.full(180, 2.0), q_of(6.0, 2.0), (35.0, 35.0)).any()
    noisy[[50, 51, 120]] += 90
    found = find_outliers(TIMES, noisy, np.full(180, 2.0), q_of(6.0, 2.0), (35.0, 35.0))
    told = {*np.flatnonzero(found).tolist()}
    assert {50, 51, 120} <= told <= {48, 49, 50, 51, 52, 53, 119, 120, 121}
