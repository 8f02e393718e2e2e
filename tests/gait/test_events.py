import numpy as np
import pytest

from equikpt.gait.events import find_stances
from equikpt.gait.trial import GaitOptions, Trial
from tests.gait.conftest import moving


def off_ms(found, true, edge_s=0.25, end_s=np.inf):
    """Distance of each true event from the nearest found one, and the number of both."""
    inner = true[(true > edge_s) & (true < end_s - edge_s)]
    return 1000 * np.array([np.nanmin(np.abs(found - at)) for at in inner])


@pytest.mark.parametrize(
    ("settings", "limit_ms"),
    [
        (dict(gait="walk", strides=4), 20),
        (dict(gait="walk", strides=4, camera="still", facing="right"), 20),
        (dict(gait="trot"), 6),
        (dict(gait="trot", fps=30.0), 8),
        (dict(gait="canter", mirrored=True), 6),
    ],
    ids=["walk", "walk past", "trot", "trot at 30", "canter"],
)
def test_events_are_where_the_hoof_lands_and_leaves(settings, limit_ms):
    trial = moving(**settings)
    ready = Trial(trial.table(1.0), GaitOptions(replicates=20))
    for limb in ready.limbs:
        stances = find_stances(ready, limb)
        for found, true in ((stances.on_s, trial.on_s), (stances.off_s, trial.off_s)):
            wrong = off_ms(found[0], true[limb], end_s=trial.times_s[-1])
            assert len(wrong) > 1
            assert np.median(wrong) < limit_ms


def test_replicates_scatter_as_the_events_err():
    trial = moving(strides=12)
    errors, scatter = [], []
    for seed in range(3):
        table = trial.table(4.0, np.random.default_rng(seed))
        stances = find_stances(Trial(table, GaitOptions(replicates=40)), "lf")
        errors += off_ms(stances.on_s[0], trial.on_s["lf"], end_s=trial.times_s[-1]).tolist()
        scatter.append(1000 * np.nanmedian(np.nanstd(stances.on_s[1:], axis=0)))
    assert 0.5 < np.sqrt(np.mean(np.square(errors))) / np.mean(scatter) < 2.0


def test_a_stance_that_is_not_seen_has_no_events():
    trial = moving()
    table = trial.table(1.0)
    gap = slice(150, 180)
    for name in ("lf_hoof", "lf_fetlock"):
        table.xy[gap, table.names.index(name)] = np.nan
    stances = find_stances(Trial(table, GaitOptions(replicates=20)), "lf")
    start, end = trial.times_s[gap.start] + 0.05, trial.times_s[gap.stop] - 0.05
    for events in (stances.on_s[0], stances.off_s[0]):
        assert not ((events > start) & (events < end)).any()
        assert np.isfinite(events).any()


def test_the_hoof_alone_gives_the_heels_leaving():
    trial = moving()
    table = trial.table(1.0)
    table.xy[:, table.names.index("lf_fetlock")] = np.nan
    stances = find_stances(Trial(table, GaitOptions(replicates=20)), "lf")
    early = [np.nanmin(np.abs(stances.off_s[0] - at + 0.03)) for at in trial.off_s["lf"][1:-1]]
    assert np.median(early) < 0.015
