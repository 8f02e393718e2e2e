import numpy as np
import pytest

from equikpt.gait.classification import GAITS, footfalls, gait_of


@pytest.mark.parametrize("gait", GAITS)
@pytest.mark.parametrize("start", [0.0, 0.37])
def test_each_row_is_itself_wherever_the_stride_begins(gait, start):
    generator = np.random.default_rng(0)
    for _ in range(50):
        phases = {
            limb: (at + start + generator.normal(0, 0.025)) % 1.0
            for limb, at in GAITS[gait].items()
        }
        assert gait_of(phases, 0.6) == gait


def test_the_duty_factor_tells_walk_from_toelt():
    phases = GAITS["walk"]
    assert [gait_of(phases, duty) for duty in (0.62, 0.44, np.nan)] == ["walk", "tölt", "unclear"]


@pytest.mark.parametrize(
    "phases",
    [
        dict(lh=0.0, rh=0.5),
        dict(lh=0.0, rh=0.5, lf=0.25, rf=0.25),
        dict(lh=0.0, rh=0.02, lf=0.03, rf=0.01),
        dict(lh=0.0, rh=np.nan, lf=np.nan, rf=0.0),
    ],
    ids=["two limbs", "no gait", "a jump", "not seen"],
)
def test_what_is_no_gait_is_unclear(phases):
    assert gait_of(phases, 0.4) == "unclear"


def test_one_limb_may_be_missing():
    phases = {limb: at for limb, at in GAITS["canter left"].items() if limb != "rh"}
    assert gait_of(phases, 0.35) == "canter left"


def test_footfalls_are_in_their_order():
    assert footfalls(GAITS["canter right"]) == "lh rh+lf rf"
    assert footfalls(dict(rh=0.51, lh=0.0, lf=np.nan)) == "lh rh"
    assert footfalls({}) == ""
