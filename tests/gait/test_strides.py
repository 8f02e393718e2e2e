import numpy as np
import pytest

from equikpt.gait.events import Stances
from equikpt.gait.strides import cut_strides, duty_of, timing
from equikpt.gait.trial import GaitOptions, Trial


def stances(on_s, duty=0.4, stride_s=0.7, speed=200.0):
    on_s = np.tile(np.asarray(on_s, float), (3, 1))
    return Stances(on_s, on_s + duty * stride_s, np.full_like(on_s, speed), np.zeros(on_s.shape[1]))


@pytest.fixture(scope="module")
def trial(trot):
    return Trial(trot.side_mm, GaitOptions(replicates=20))


def even(start, count=4):
    return start + 0.7 * np.arange(count)


def test_a_trot_is_cut_at_the_hind_hoof(trial):
    limbs = dict(lh=stances(even(0.1)), rf=stances(even(0.08)), rh=stances(even(0.45)))
    limbs["lf"] = stances(even(0.46))
    strides, odd = cut_strides(trial, limbs)
    assert (len(strides), odd) == (3, 0)
    first = strides[0]
    assert (first.gait, first.footfalls) == ("trot", "rf+lh rh+lf")
    assert first.phases["rf"][0] == pytest.approx(-0.02 / 0.7)
    rows = {(m.part, m.name): m.values[0] for m in timing(trial, strides[:1], limbs)}
    assert rows["stride", "duration"] == pytest.approx(0.7)
    assert rows["stride", "length"] == pytest.approx(140)
    assert rows["lh", "stance"] == pytest.approx(0.28)
    assert rows["lh", "swing"] == pytest.approx(0.42)
    assert rows["lf", "duty_factor"] == pytest.approx(0.4)


def test_a_missing_event_makes_no_stride_of_two(trial):
    on = np.delete(even(0.1, 6), 3)
    strides, odd = cut_strides(trial, dict(lh=stances(on)))
    assert (len(strides), odd) == (3, 1)
    on = even(0.1, 6)
    on[3] = np.nan
    assert [len(cut_strides(trial, dict(lh=stances(on)))[0])] == [3]


def test_without_limbs_there_are_no_strides(trial):
    assert cut_strides(trial, {}) == ([], 0)


def test_the_last_stance_has_no_duty_factor():
    own = stances(even(0.1))
    assert duty_of(own, 0) == pytest.approx(0.4)
    assert np.isnan(duty_of(own, 3)).all()
