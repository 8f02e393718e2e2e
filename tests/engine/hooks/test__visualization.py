from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from mmengine.visualization import LocalVisBackend

from equikpt.engine.hooks._visualization import VisualizationSchedule, evenly_spaced, log_image


def runner(epoch: int, max_epochs: int = 100, rank: int = 0) -> SimpleNamespace:
    loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)
    loop._epoch, loop._max_epochs, loop._iter = epoch, max_epochs, 10 * epoch
    return SimpleNamespace(_train_loop=loop, rank=rank)


def iteration_runner(iteration: int) -> SimpleNamespace:
    loop = IterBasedTrainLoop.__new__(IterBasedTrainLoop)
    loop._epoch, loop._max_epochs, loop._iter = 0, 1, iteration
    return SimpleNamespace(_train_loop=loop, rank=0)


@pytest.mark.parametrize(
    ("interval", "validated", "due"),
    [
        (1, range(1, 5), [1, 2, 3, 4]),
        (5, range(1, 21), [1, 6, 11, 16, 20]),
        (5, range(4, 21, 4), [4, 12, 20]),  # an interval that is no multiple of the validation's
        (5, range(10, 21, 10), [10, 20]),
        (50, range(1, 21), [1, 20]),  # the first and the last at any rate
        (None, range(1, 21), []),
    ],
)
def test_occasions(interval, validated, due):
    schedule = VisualizationSchedule(interval)
    assert [
        epoch for epoch in validated if schedule.should_draw(runner(epoch, max_epochs=20))
    ] == due


def test_a_resumed_run_begins_with_images():
    schedule = VisualizationSchedule(5)
    assert [epoch for epoch in range(8, 14) if schedule.should_draw(runner(epoch))] == [8, 13]


def test_other_ranks_have_no_occasion():
    assert not VisualizationSchedule(1).should_draw(runner(1, rank=1))


@pytest.mark.parametrize("config", [None, dict(by_epoch=True)], ids=["none", "not built"])
def test_a_validation_alone_has_images_and_builds_no_training(config):
    current = SimpleNamespace(_train_loop=config, rank=0)
    schedule = VisualizationSchedule(5)
    assert [schedule.should_draw(current) for _ in range(2)] == [True, True]


def test_a_loop_by_iterations_has_images_in_every_validation():
    schedule = VisualizationSchedule(5)
    assert [schedule.should_draw(iteration_runner(number)) for number in (1000, 2000)] == [
        True,
        True,
    ]


def test_an_interval_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1, or None, got 0"):
        VisualizationSchedule(0)


@pytest.mark.parametrize(
    ("size", "ranks", "count", "expected"),
    [(7, 1, 3, [0, 3, 6]), (2, 1, 6, [0, 1]), (9, 2, 3, [0, 2, 4]), (1, 1, 1, [0])],
)
def test_evenly_spaced(monkeypatch, size, ranks, count, expected):
    monkeypatch.setattr("equikpt.engine.hooks._visualization.get_world_size", lambda: ranks)
    assert evenly_spaced(size, count) == expected


@pytest.mark.parametrize(
    ("current", "step"),
    [
        (runner(3), 3),
        (iteration_runner(2000), 2000),
        (SimpleNamespace(_train_loop=None, rank=0), 0),
    ],
    ids=["epochs", "iterations", "no training"],
)
def test_what_is_shown_lies_in_the_local_folder_as_it_was_drawn(tmp_path, current, step):
    sheet = np.random.default_rng(0).integers(0, 256, (8, 6, 3)).astype(np.uint8)
    current.visualizer = LocalVisBackend(str(tmp_path))
    log_image(current, "val_predictions", sheet)
    (path,) = (tmp_path / "vis_image").iterdir()
    assert path.name == f"val_predictions_{step}.png"
    np.testing.assert_array_equal(cv2.imread(str(path)), sheet)
