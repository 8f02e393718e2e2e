from dataclasses import replace

import numpy as np
import pytest

from equikpt.gait.trial import GaitOptions, Trial
from equikpt.tracks.smoothing import RADIUS_PER_SIGMA
from tests.gait.conftest import moving


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(level=1.0), "level"),
        (dict(radius_level=0.0), "radius_level"),
        (dict(replicates=5), "20 replicates"),
        (dict(height_mm=1600.0, mm_per_px=2.5), "both"),
        (dict(mm_per_px=-1.0), "mm_per_px"),
    ],
)
def test_wrong_options_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        GaitOptions(**options)


def test_forward_is_where_the_head_points(trot, walk):
    assert (trot.motion.facing, walk.motion.facing) == ("left", "right")
    for trial, forward in ((trot, -1), (walk, 1)):
        ready = Trial(trial.table(2.0), GaitOptions(replicates=20))
        assert ready.forward == forward
        nose, tail = (ready.smoothed(role, 4.0)[0] for role in ("nose", "tail_base"))
        assert (nose[:, 0] > tail[:, 0]).all()
        assert ready.stride_s == pytest.approx(trial.motion.stride_s or 0.7, rel=0.6)


def test_the_stride_is_its_duration(trot, walk):
    for trial, stride_s in ((trot, 0.70), (walk, 1.08)):
        ready = Trial(trial.table(4.0), GaitOptions(replicates=20))
        assert ready.stride_s == pytest.approx(stride_s, rel=0.02)


def test_radii_are_the_noise_unless_the_points_scatter_more(trot):
    table = trot.table(4.0, np.random.default_rng(0))
    stated = Trial(table, GaitOptions(replicates=20)).sigma("withers")
    np.testing.assert_allclose(stated, 4.0)
    shy = replace(table, radii=table.radii / 10)
    found = Trial(shy, GaitOptions(replicates=20)).sigma("withers")
    assert np.median(found) == pytest.approx(4.0, rel=0.2)
    none = replace(table, radii=None)
    assert Trial(none, GaitOptions(replicates=20)).sigma("withers")[0] == pytest.approx(4, rel=0.2)
    assert pytest.approx(2.146, abs=1e-3) == RADIUS_PER_SIGMA


def test_replicates_scatter_by_the_sd(trot):
    ready = Trial(trot.table(4.0), GaitOptions(replicates=50))
    drawn = ready.measured("withers")
    assert np.std(drawn[1:] - drawn[0]) == pytest.approx(4.0, rel=0.02)
    smooth = ready.smoothed("withers", 4.0)
    assert np.std(smooth[1:] - smooth[0]) < 3.0


def test_outliers_count_as_gaps_and_are_said(trot):
    table = trot.table(2.0, np.random.default_rng(0))
    column = table.names.index("withers")
    table.xy[[40, 41, 90], column] += 200
    ready = Trial(table, GaitOptions(replicates=20))
    assert np.isinf(ready.sigma("withers")[[40, 41, 90]]).all()
    assert np.isinf(ready.sigma("withers")).sum() == 3
    assert any("outliers" in note for note in ready.notes)
    clean = Trial(trot.table(2.0, np.random.default_rng(0)), GaitOptions(replicates=20))
    assert clean.notes == []


def test_low_scores_and_rare_points_are_left_out(trot):
    table = trot.table(2.0)
    scores = np.ones(table.xy.shape[:2])
    scores[10:20, table.names.index("withers")] = 0.1
    scores[:-15, table.names.index("back")] = 0.1
    ready = Trial(replace(table, scores=scores), GaitOptions(replicates=20))
    assert np.isinf(ready.sigma("withers")[10:20]).all()
    assert not ready.has("back")
    assert any("back left out" in note for note in ready.notes)


def test_frames_that_face_the_other_way_count_as_gaps(trot):
    table = trot.table(1.0)
    table.xy[100:130, :, 0] = 2000 - table.xy[100:130, :, 0]
    ready = Trial(table, GaitOptions(replicates=20))
    assert np.isinf(ready.sigma("withers")[100:130]).all()
    assert "30 frames" in ready.notes[0]


def test_the_view_is_told_by_the_frames_that_have_the_points():
    trial = moving(view="rear", strides=8)
    table = trial.table(1.0)
    hooves = [table.names.index(f"{limb}_hoof") for limb in ("lf", "rf", "lh", "rh")]
    rare = np.flatnonzero(np.arange(len(table.xy)) % 5 > 1)
    table.xy[np.ix_(rare, hooves)] = np.nan
    assert not Trial(table, GaitOptions(replicates=20)).is_side_view


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: replace(t, times_s=t.times_s[:5], xy=t.xy[:5], radii=None), "12 to 20000"),
        (lambda t: replace(t, xy=np.repeat(t.xy[:1], len(t.xy), axis=0)
                           + np.random.default_rng(0).normal(0, 2, t.xy.shape)), "strides"),
        (lambda t: replace(t, xy=np.full_like(t.xy, np.nan)), "top line"),
        (lambda t: replace(t, names=tuple(f"p{i}" for i in range(26))), "name them"),
    ],
    ids=["short", "stands", "empty", "names"],
)  # fmt: skip
def test_what_holds_no_gait_is_refused(trot, change, said):
    with pytest.raises(ValueError, match=said):
        Trial(change(trot.table(1.0)), GaitOptions(replicates=20))
