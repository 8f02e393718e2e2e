import numpy as np

from equikpt.engine.unlabelled_weight import ShareWatch, ramp_up


def test_the_weight_rises_from_begin_to_end():
    weights = [ramp_up(step / 100, 0.2, 0.6) for step in range(101)]
    assert weights[:20] == [0] * 20
    assert weights[60:] == [1] * 41
    assert all(np.diff(weights[20:61]) > 0)


def test_a_share_that_falls_stops_for_good_and_one_low_epoch_does_not():
    watch = ShareWatch()
    for share in (0.2, 0.6, 0.2, 0.5, 0.31):
        watch.see(share)
    assert not watch.stopped
    for share in (0.29, 0.1, 0.7):
        watch.see(share)
    assert watch.stopped
