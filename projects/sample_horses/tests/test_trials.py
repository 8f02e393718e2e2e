from __future__ import annotations

import numpy as np
import pytest

from projects.sample_horses.gait import GAITS
from projects.sample_horses.trials import (
    NAMES,
    RADIUS_PER_SIGMA,
    STRIDE_S,
    Motion,
    gait_of,
    moving_trial,
)


@pytest.mark.parametrize("gait", GAITS)
def test_hooves_in_stance_stay_where_they_are(gait):
    motion = Motion(gait=gait, strides=3)
    trial = moving_trial(motion)
    stance_s = gait_of(motion).duty * STRIDE_S[gait]
    for leg in trial.on_s:
        hoof = trial.world_m[:, NAMES.index(f"{leg}_hoof")]
        for on in trial.on_s[leg]:
            inside = (trial.times_s >= on) & (trial.times_s <= on + 0.87 * stance_s)
            if inside.sum() > 2:
                assert np.ptp(hoof[inside], axis=0).max() < 0.004  # m
        for on, off in zip(trial.on_s[leg], trial.off_s[leg], strict=False):
            assert (off - on) % STRIDE_S[gait] == pytest.approx(stance_s, abs=0.002)


def test_the_camera_keeps_the_scale_and_the_image_its_sides():
    for facing in ("left", "right"):
        for camera in ("still", "follows"):
            trial = moving_trial(Motion(strides=2, facing=facing, camera=camera))
            nose, tail = (trial.xy_px[:, NAMES.index(name)] for name in ("nose", "tail_base"))
            assert ((nose[:, 0] < tail[:, 0]) == (facing == "left")).all()
            withers = trial.world_m[:, NAMES.index("withers"), 2] * 1000
            height = trial.xy_px[:, NAMES.index("withers"), 1] * trial.mm_per_px
            np.testing.assert_allclose(np.ptp(withers + height), 0, atol=0.5)
    moved = np.ptp(trial.world_m[:, NAMES.index("withers"), 0])
    assert moved == pytest.approx(trial.speed_m_s * np.ptp(trial.times_s), rel=0.01)


@pytest.mark.parametrize("part", ["head", "withers", "pelvis"])
def test_asymmetries_have_their_size_and_leave_the_rest(part):
    trial = moving_trial(Motion(strides=3, **{f"{part}_mm": (16.0, 0.0)}))
    points = dict(head=("l_eye", "r_eye"), withers=("withers",), pelvis=("tail_base",))
    right = dict(head="rf", withers="rf", pelvis="rh")
    for name, roles in points.items():
        height = trial.height_mm(*roles)
        middle = trial.on_s[right[name]][1] + gait_of(trial.motion).duty * 0.35
        lows = [
            height(np.linspace(at - 0.15, at + 0.15, 300)).min() for at in (middle, middle - 0.35)
        ]
        expected = 16.0 if name == part else 0.0
        assert lows[0] - lows[1] == pytest.approx(expected, abs=0.3)


def test_noise_is_as_stated():
    trial = moving_trial(Motion(strides=4))
    table = trial.table(3.0, np.random.default_rng(0), far=2.0)
    noise = table.xy - trial.xy_px
    near, far = (NAMES.index(name) for name in ("lf_hoof", "rf_hoof"))
    assert noise[:, near].std() == pytest.approx(3, rel=0.1)
    assert noise[:, far].std() == pytest.approx(6, rel=0.1)
    distance = np.hypot(*noise[:, near].T)
    assert (distance < table.radii[:, near]).mean() == pytest.approx(0.9, abs=0.05)
    assert pytest.approx(2.146, abs=1e-3) == RADIUS_PER_SIGMA
    slow = trial.table(3.0, np.random.default_rng(0), correlation=0.9).xy - trial.xy_px
    assert np.diff(slow, axis=0).std() < 0.7 * np.diff(noise[:, :1], axis=0).std()
    assert slow.std() == pytest.approx(3, rel=0.1)
    lost = trial.table(3.0, np.random.default_rng(0), outliers=0.05).xy - trial.xy_px
    assert 0.02 < (np.abs(lost) > 50).any(axis=2).mean() < 0.06
    assert trial.table().radii is None


def test_strides_vary_as_told():
    trial = moving_trial(Motion(strides=30, variation=0.05), seed=1)
    durations = np.diff(trial.on_s["lh"])
    assert durations.mean() == pytest.approx(0.7, rel=0.03)
    assert 0.03 < durations.std() / durations.mean() < 0.08
