import numpy as np
import pytest

from equikpt.gait.symmetry import extreme, trend
from tests.gait.conftest import moving

TIMES = np.arange(0, 4, 1 / 60)


def test_the_trend_holds_drift_and_nothing_of_the_stride():
    wave = 10 * np.sin(2 * np.pi * TIMES / 0.8) + 5 * np.cos(4 * np.pi * TIMES / 0.8)
    drift = 7 * TIMES
    left = wave + drift - trend(TIMES, (wave + drift)[None], 0.8)[0]
    inner = slice(30, -30)
    np.testing.assert_allclose(left[inner], wave[inner], atol=0.1)
    np.testing.assert_allclose(left, wave, atol=2.5)  # a line at the ends


def test_a_trial_shorter_than_a_stride_keeps_its_height():
    assert trend(TIMES[:20], np.ones((1, 20)), 0.8) == pytest.approx(1)


def test_an_extreme_lies_between_the_frames():
    wave = np.stack([-((TIMES - 1.007) ** 2), -((TIMES - 0.993) ** 2)])
    np.testing.assert_allclose(extreme(TIMES, wave, 1.0, 0.1), 0, atol=1e-9)


@pytest.mark.parametrize("about", [3.95, 0.02, 2.0], ids=["end", "begin", "slope"])
def test_what_lies_at_an_end_is_no_extreme(about):
    wave = np.where(TIMES < 1, 0.0, TIMES)[None]
    assert np.isnan(extreme(TIMES, wave, about, 0.1)).all()


@pytest.mark.parametrize("facing", ["left", "right"])
@pytest.mark.parametrize("diffs", [(12.0, 0.0), (-8.0, 6.0)])
def test_planted_differences_are_found_with_their_signs(facing, diffs):
    from equikpt.gait import GaitOptions, analyse

    trial = moving(facing=facing, head_mm=diffs, withers_mm=diffs, pelvis_mm=diffs)
    report = analyse(trial.table(), GaitOptions(replicates=20, mm_per_px=trial.mm_per_px))
    for part, letters in (("head", "HD"), ("withers", "WD"), ("pelvis", "PD")):
        found = [report.value(part, f"{letters}{end}").mean for end in ("min", "max", "up")]
        assert found == pytest.approx([*diffs, sum(diffs)], abs=0.5)
