import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equikpt.structures import Instance
from equikpt_runtime.one_euro import OneEuroFilter, OneEuroOptions, PoseSmoother


def published(values, rate_hz, min_cutoff, beta, speed_cutoff) -> list[float]:
    """Algorithm 1 of the paper for one signal of a constant rate, as it stands there."""

    def alpha(cutoff):
        tau = 1.0 / (2 * math.pi * cutoff)
        period = 1.0 / rate_hz
        return 1.0 / (1.0 + tau / period)

    filtered, hat_x, hat_dx = [], None, None
    for x in values:
        dx = 0.0 if hat_x is None else (x - hat_x) * rate_hz
        a = alpha(speed_cutoff)
        hat_dx = dx if hat_dx is None else a * dx + (1 - a) * hat_dx
        a = alpha(min_cutoff + beta * abs(hat_dx))
        hat_x = x if hat_x is None else a * x + (1 - a) * hat_x
        filtered.append(hat_x)
    return filtered


def run(filter_, values, rate_hz=25.0) -> np.ndarray:
    return np.array([filter_(value, step / rate_hz) for step, value in enumerate(values)])


def test_a_step_by_hand():
    """With 1 Hz at 2π frames a second α is 1/2; the speed of 2π, halved, makes it (1+π)/(2+π)."""
    rate_hz = 2 * math.pi
    resting = run(OneEuroFilter(OneEuroOptions(1.0, 0.0)), np.array([[0.0], [1], [1]]), rate_hz)
    np.testing.assert_allclose(resting.ravel(), [0, 0.5, 0.75])
    moving = run(OneEuroFilter(OneEuroOptions(1.0, 1.0)), np.array([[0.0], [1]]), rate_hz)
    np.testing.assert_allclose(moving.ravel(), [0, (1 + math.pi) / (2 + math.pi)])


@pytest.mark.parametrize("options", [(1.0, 0.0, 1.0), (0.3, 0.02, 1.0), (2.0, 0.5, 3.0)])
def test_each_signal_is_filtered_as_published(options):
    values = np.random.default_rng(0).normal(0, 5, (80, 3, 2)).cumsum(axis=0)
    filtered = run(OneEuroFilter(OneEuroOptions(*options)), values)
    for index in np.ndindex(3, 2):
        expected = published(values[(slice(None), *index)], 25.0, *options)
        np.testing.assert_allclose(filtered[(slice(None), *index)], expected)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(value=st.floats(-1e4, 1e4), min_cutoff=st.floats(0.01, 20), beta=st.floats(0, 10))
def test_what_does_not_move_stays(value, min_cutoff, beta):
    filtered = run(OneEuroFilter(OneEuroOptions(min_cutoff, beta)), np.full((20, 1), value))
    np.testing.assert_allclose(filtered, value, rtol=1e-12)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(
    speed=st.floats(1, 500),
    min_cutoff=st.floats(0.3, 5),
    beta=st.floats(0, 0.1),
)
def test_the_lag_behind_a_steady_motion_is_that_of_its_cutoff(speed, min_cutoff, beta):
    """A first-order filter follows v·t at v·(1 − α)/(α · rate) = v / (2π · cut-off)."""
    seconds = 40
    values = speed * np.arange(seconds * 25)[:, None] / 25
    lag = values[-1] - run(OneEuroFilter(OneEuroOptions(min_cutoff, beta)), values)[-1]
    # the filter sees the speed from its own last value, so it takes it for higher by the lag
    seen = speed + lag * 25
    expected = speed / (2 * math.pi * (min_cutoff + beta * seen))
    np.testing.assert_allclose(lag, expected, rtol=1e-3)
    assert lag <= speed / (2 * math.pi * min_cutoff) * (1 + 1e-9)


@pytest.mark.parametrize("beta", [0.0, 0.01])
def test_there_is_less_jitter_than_before(beta):
    still = np.random.default_rng(0).normal(100, 2, (300, 26, 2))
    filtered = run(OneEuroFilter(OneEuroOptions(1.0, beta)), still)
    jitter = [np.abs(np.diff(each, axis=0)).mean() for each in (still, filtered)]
    assert jitter[1] < 0.4 * jitter[0]


def test_a_gap_is_no_motion():
    """A point that is not seen for a second comes back where it is, not where it was."""
    values = np.concatenate([np.zeros(5), np.full(25, np.nan), np.full(40, 10.0)])[:, None]
    filtered = run(OneEuroFilter(OneEuroOptions(1.0, 0.0)), values)
    assert np.isnan(filtered[5:30]).all()
    elapsed_s = 26 / 25
    alpha = 1 / (1 + 1 / (2 * math.pi * elapsed_s))
    assert filtered[30, 0] == pytest.approx(10 * alpha)
    assert filtered[-1, 0] == pytest.approx(10, abs=0.01)


def test_times_must_rise():
    filter_ = OneEuroFilter(OneEuroOptions())
    filter_(np.zeros(2), 1.0)
    with pytest.raises(ValueError, match="a time after 1 s, got 1 s"):
        filter_(np.zeros(2), 1.0)


@pytest.mark.parametrize("options", [(0.0, 0.0), (1.0, -1.0), (1.0, 0.0, 0.0)])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match="cut-off frequencies above 0 Hz"):
        OneEuroOptions(*options)


def instance(track: int, keypoints, side: float = 100) -> Instance:
    return Instance(
        np.asarray(keypoints, np.float32), np.ones(2), np.array([0, 0, side, side]), track=track
    )


def test_each_track_has_its_own_filter():
    smoother = PoseSmoother(OneEuroOptions(1.0, 0.0))
    smoother([instance(1, [[0, 0], [0, 0]]), instance(2, [[50, 50], [50, 50]])], 0.0)
    second, first = smoother(
        [instance(2, [[50, 50], [50, 50]]), instance(1, [[10, 10], [10, 10]])], 0.04
    )
    np.testing.assert_allclose(second.keypoints, 50)
    assert (first.keypoints > 0).all()
    assert (first.keypoints < 10).all()
    assert (second.track, first.track) == (2, 1)


def test_beta_means_the_same_in_images_of_any_size():
    values = np.random.default_rng(0).normal(0, 3, (30, 2, 2)).cumsum(axis=0)
    paths = []
    for scale in (1.0, 7.0):
        smoother = PoseSmoother(OneEuroOptions(1.0, 5.0))
        steps = [
            smoother([instance(1, scale * value, scale * 100)], step / 25)[0].keypoints
            for step, value in enumerate(values)
        ]
        paths.append(np.array(steps) / scale)
    np.testing.assert_allclose(paths[0], paths[1], rtol=1e-4, atol=1e-4)
