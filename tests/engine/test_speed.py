from __future__ import annotations

import time

import pytest

from equikpt.core.configs import read_config
from equikpt.engine import speed


class FakeRunner:
    """Calls the hook after each step, as long as it lets it."""

    def __init__(self, timer: speed.StepTimer, step_s: list[float], monkeypatch):
        now = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: now)
        for self.steps, seconds in enumerate(step_s, 1):
            now += seconds
            timer.after_train_iter(self, self.steps)


@pytest.mark.parametrize(
    ("seconds", "steps"),
    [(0.5, speed.WARM_UP_STEPS + speed.MIN_STEPS), (10, speed.WARM_UP_STEPS + 10)],
)
def test_stops_after_enough_steps(seconds, steps, monkeypatch):
    timer = speed.StepTimer(seconds)
    with pytest.raises(speed.StopTraining):
        FakeRunner(timer, [1.0] * 100, monkeypatch)
    assert len(timer.times) == steps


def test_a_config_is_trained_for_some_steps_and_left_as_it_is(sample_data):
    cfg = read_config("configs/smoke/rtmpose_m_ap10k.py")
    for split in ("train", "val", "test"):
        cfg[f"{split}_dataloader"].dataset.data_root = str(sample_data)
    before = cfg.pretty_text
    samples_a_second = speed.training_speed(cfg, seconds=0.1)
    assert samples_a_second > 0
    assert cfg.pretty_text == before
