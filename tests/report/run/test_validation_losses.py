import numpy as np
import pytest

from equikpt.report.run.validation_losses import undo_mean
from tests.report.written_runs import config


def averaged(values: np.ndarray, window: int) -> list[dict]:
    """Rows as ``LogProcessor`` logs them."""
    ends = range(1, len(values) + 1)
    return [dict(val_loss=values[max(0, end - window) : end].mean()) for end in ends]


def undone(rows: list[dict], before=(), **options) -> list[float]:
    rows = [dict(row) for row in rows]
    undo_mean(rows, before, config(log_processor=dict(type="LogProcessor") | options))
    return [row["val_loss"] for row in rows]


@pytest.mark.parametrize("window", [None, 1, 2, 10, 20, 100])
def test_values_come_back(window):
    values = np.random.default_rng(0).uniform(0.01, 100, 200)
    options = {} if window is None else dict(window_size=window)  # MMEngine's own is 10
    found = undone(averaged(values, window or 10), **options)
    np.testing.assert_allclose(found, values, rtol=1e-6)


def test_a_resumed_start_goes_on_with_the_values_before_it():
    values = np.arange(1.0, 13.0) ** 2
    rows = averaged(values, 5)
    before = [dict(val_loss=value) for value in values[:4]]
    found = undone(rows[4:], before, window_size=5)
    np.testing.assert_allclose(found, values[4:])


@pytest.mark.parametrize(
    "options",
    [
        dict(mean_pattern="time"),
        dict(custom_cfg=[dict(data_src="val_loss", method_name="max")]),
        dict(type="ValLogProcessor"),
    ],
    ids=["another pattern", "its own statistic", "another log processor"],
)
def test_what_is_not_averaged_stays(options):
    assert undone([dict(val_loss=3.0), dict(val_loss=1.0)], **options) == [3.0, 1.0]


@pytest.mark.parametrize("cfg", [config(log_processor=None), None], ids=["stock", "no config"])
def test_other_metrics_and_times_stay_and_so_does_all_without_a_config(cfg):
    rows = [dict(AP=0.5, time=2.0, val_loss=3.0), dict(AP=0.7, time=1.0, val_loss=2.0)]
    undo_mean(rows, (), cfg)
    last = 2.0 if cfg is None else 1.0
    assert rows == [dict(AP=0.5, time=2.0, val_loss=3.0), dict(AP=0.7, time=1.0, val_loss=last)]
