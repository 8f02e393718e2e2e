from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.runner import EpochBasedTrainLoop
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from torch import nn

from equikpt.engine.hooks.sequence_visualization_hook import (
    SequenceVisualizationHook,
)
from equikpt.models.heads.sequential_attention_head import SequenceTargets
from equikpt.models.layers.sequential_attention import Steps
from equikpt.visualization.pose import ERROR_BGR, PREDICTION_BGR, TARGET_BGR

SIDE = 96
PLACES = torch.tensor([[[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5]]])
PREDICTED = torch.tensor([[[-0.5, 0.0], [0.0, -0.5], [0.0, 0.5], [0.9, 0.9]]])


class Model(nn.Module):
    """Three true points an image, each predicted half a half-side away; done at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.head = self

    def data_preprocessor(self, data: dict, training: bool) -> dict:
        return data

    def extract_feat(self, inputs: list) -> list:
        return inputs

    def teacher_forced_targets(self, feats: list, samples: list) -> SequenceTargets:
        done = torch.tensor([[0.0, 0.0, 0.0, 1.0]])
        steps = Steps(PREDICTED, 20 * done - 10, torch.zeros(1, 4, 1))
        target = torch.cat([PLACES, PLACES[:, -1:]], dim=1)
        return SequenceTargets(
            steps=steps,
            input_points=PLACES,
            points=PLACES,
            target_mask=torch.zeros(1, 4, 3),
            target=target,
            has_target=1 - done,
            done=done,
            step_mask=torch.ones(1, 4),
        )


class Loader:
    """As much of a loader as the hook reads."""

    def __init__(self, size: int) -> None:
        self.dataset = range(size)


def run(hook: SequenceVisualizationHook, size: int, epoch: int = 0) -> list:
    """One validation; returns what the visualizer got: name, image (RGB), step."""
    shown: list = []

    def add_image(name: str, image: np.ndarray, step: int) -> None:
        shown.append((name, image, step))

    loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)
    loop._epoch, loop._max_epochs, loop._iter = epoch, 100, 10 * epoch
    runner = SimpleNamespace(
        model=Model(), val_dataloader=Loader(size), rank=0, _train_loop=loop,
        visualizer=SimpleNamespace(add_image=add_image),
    )  # fmt: skip
    hook.before_val_epoch(runner)
    for start in range(0, size, 2):
        count = min(2, size - start)
        batch = dict(
            inputs=[torch.zeros(3, SIDE, SIDE, dtype=torch.uint8)] * count,
            data_samples=[PoseDataSample(gt_instance_labels=InstanceData())] * count,
        )
        hook.after_val_iter(runner, start // 2, batch, batch["data_samples"])
    hook.after_val_epoch(runner)
    return shown


def has_colour(image_rgb: np.ndarray, bgr: tuple[int, int, int]) -> bool:
    return bool((image_rgb == np.array(bgr[::-1])).all(axis=-1).any())


def test_one_sheet_a_validation_with_the_steps_in_it(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "equikpt.engine.hooks.sequence_visualization_hook.draw_step",
        lambda image, *rest: drawn.append(rest) or np.zeros((SIDE, 2 * SIDE, 3), np.uint8),
    )
    ((name, sheet, step),) = run(SequenceVisualizationHook(num_images=5), size=9, epoch=3)
    assert (name, step) == ("val_steps", 3)
    assert sheet.shape == (3 * SIDE, 4 * SIDE, 3)
    assert [len(given) for given, *_ in drawn] == [0, 1, 2, 3, 3]  # of three points
    given, place, target, done = drawn[1]
    assert given.tolist() == [[24, 24]]
    assert target.tolist() == [72, 24]  # the one that the loss used
    assert place.tolist() == [48, 24]
    assert done < 0.01
    *_, last_target, last_done = drawn[4]
    assert last_target is None
    assert last_done > 0.99


def test_the_drawing_has_its_colours():
    ((_, sheet, _),) = run(SequenceVisualizationHook(num_images=2), size=2)
    for colour in (TARGET_BGR, PREDICTION_BGR, ERROR_BGR):
        assert has_colour(sheet, colour)


def test_epochs_between_are_left_out():
    hook = SequenceVisualizationHook(interval=2)
    assert [len(run(hook, size=2, epoch=epoch)) for epoch in range(1, 5)] == [1, 0, 1, 0]


def test_another_head_is_refused():
    model = nn.Module()
    model.head = nn.Linear(1, 1)
    with pytest.raises(ValueError, match="expected SequentialAttentionHead, got Linear"):
        SequenceVisualizationHook().before_train(SimpleNamespace(model=model))


@pytest.mark.parametrize("options", [dict(interval=0), dict(num_images=0)])
def test_wrong_options_are_refused(options):
    with pytest.raises(ValueError, match="at least 1"):
        SequenceVisualizationHook(**options)
