import numpy as np
import pytest

from equikpt.gait.measures import Measure


def measure(values):
    return Measure(0, "lf", "stance", "s", np.asarray(values, float))


def test_half_the_width_is_that_of_a_normal_distribution():
    drawn = np.random.default_rng(0).normal(0, 2, 4000)
    assert measure([0, *drawn]).half_width(0.9) == pytest.approx(2 * 1.645, rel=0.05)
    drawn[:40] = 1e6  # wild ones
    assert measure([0, *drawn]).half_width(0.9) == pytest.approx(2 * 1.645, rel=0.1)


@pytest.mark.parametrize("value", [np.nan, 1.0])
def test_without_value_or_replicates_there_is_none(value):
    drawn = np.ones(20)
    drawn[: 0 if np.isnan(value) else 5] = np.nan
    assert np.isnan(measure([value, *drawn]).half_width(0.9))
