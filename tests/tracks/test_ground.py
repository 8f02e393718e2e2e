import numpy as np
import pytest

from equikpt.tracks.ground import ground_line, mm_per_px
from tests.gait.conftest import moving

HOOVES = [16, 17, 24, 25]


def test_the_ground_of_a_walk_lies_under_its_hooves(walk):
    xy = walk.table(2.0, np.random.default_rng(0)).xy
    tilt = 0.03
    hooves = xy[:, HOOVES].copy()
    hooves[..., 1] += tilt * hooves[..., 0]
    ground = ground_line(walk.times_s, hooves, 1000.0)
    assert ground.slope == pytest.approx(tilt, abs=0.005)
    standing = np.quantile(xy[:, HOOVES, 1], 0.9)
    x = float(np.median(xy[:, HOOVES, 0]))
    assert float(ground.y_at(x)) == pytest.approx(standing + tilt * x, abs=12)
    assert ground.sd_px < 15


def test_the_height_of_the_withers_gives_the_scale():
    trot = moving()
    ground = ground_line(trot.times_s, trot.xy_px[:, HOOVES], 1000.0)
    height_mm = float(np.median(trot.height_mm("withers")(trot.times_s))) - 35  # of a hoof's middle
    found = mm_per_px(ground, trot.xy_px[:, 6], height_mm)
    assert found == pytest.approx(trot.mm_per_px, rel=0.03)


def test_too_few_hooves_on_the_ground_give_none(walk):
    assert ground_line(walk.times_s, np.full((len(walk.times_s), 4, 2), np.nan), 1000.0) is None
    assert ground_line(walk.times_s[:20], walk.xy_px[:20, HOOVES], 1000.0) is None
    ground = ground_line(walk.times_s, walk.xy_px[:, HOOVES], 1000.0)
    assert np.isnan(mm_per_px(ground, np.full((9, 2), np.nan), 1600))
