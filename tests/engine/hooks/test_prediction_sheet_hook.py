from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.runner import EpochBasedTrainLoop
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.structures import PoseDataSample

from equikpt.engine.hooks.prediction_sheet_hook import PredictionSheetHook
from equikpt.metainfo.horse26 import METAINFO
from equikpt.visualization.ground_truth_pair import CELL_PX

SCALE = CELL_PX / 80
"""From px of an image to px of a cell."""


class Loader:
    """As much of a runner's dataloader as the hook reads."""

    def __init__(self, size: int) -> None:
        self.dataset = self
        self.metainfo = parse_pose_metainfo(METAINFO)
        self.size = size

    def __len__(self) -> int:
        return self.size


def runner(size: int, epoch: int = 0, rank: int = 0) -> SimpleNamespace:
    """Its visualizer keeps what it gets in ``shown``: name, image (RGB), step."""
    shown: list[tuple] = []
    loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)
    loop._epoch, loop._max_epochs, loop._iter = epoch, 100, 10 * epoch
    return SimpleNamespace(
        test_dataloader=Loader(size),
        val_dataloader=Loader(size),
        rank=rank,
        logger=SimpleNamespace(info=lambda *_: None),
        _train_loop=loop,
        shown=shown,
        visualizer=SimpleNamespace(
            add_image=lambda name, image, step: shown.append((name, image, step))
        ),
    )


def sample(folder, index: int) -> PoseDataSample:
    """A gray image whose predictions lie in its left half, the ground truth in its right half."""
    path = folder / f"{index}.png"
    cv2.imwrite(str(path), np.full((80, 80, 3), 128, np.uint8))
    generator = np.random.default_rng(index)
    gt = np.column_stack([generator.uniform(45, 75, (26, 2)), np.full(26, 2)])
    data_sample = PoseDataSample(
        metainfo=dict(img_path=str(path), raw_ann_info=dict(keypoints=gt.ravel().tolist()))
    )
    data_sample.gt_instances = InstanceData(bboxes=np.array([[0.0, 0.0, 80.0, 80.0]]))
    data_sample.pred_instances = InstanceData(
        keypoints=generator.uniform(5, 35, (1, 26, 2)), keypoint_scores=np.ones((1, 26))
    )
    return data_sample


def run(hook: PredictionSheetHook, folder, size: int) -> None:
    current = runner(size)
    hook.before_test_epoch(current)
    for start in range(0, size, 2):
        batch = [sample(folder, index) for index in range(start, min(start + 2, size))]
        hook.after_test_iter(current, start // 2, outputs=batch)
    hook.after_test_epoch(current)


def test_draws_evenly_spaced_instances_gt_left_prediction_right(tmp_path):
    hook = PredictionSheetHook(str(tmp_path / "new/sheet.png"), num_instances=3)
    run(hook, tmp_path, 7)
    assert [chosen.img_path for chosen in hook._chosen] == [
        str(tmp_path / f"{index}.png") for index in (0, 3, 6)
    ]
    pair, caption = hook._draw(hook._chosen[0], Loader(7))
    assert caption == "ground truth | prediction: 0.png"
    changed = (pair != 128).any(axis=2)
    middle = CELL_PX // 2
    with_gt, with_prediction = changed[:, :CELL_PX], changed[:, CELL_PX:]
    assert with_gt[:, middle:].any()
    assert not with_gt[:, :middle].any()
    assert with_prediction[:, :middle].any()
    assert not with_prediction[:, middle:].any()
    assert cv2.imread(str(tmp_path / "new/sheet.png")) is not None


def test_fewer_instances_than_asked_for(tmp_path):
    hook = PredictionSheetHook(str(tmp_path / "sheet.png"), num_instances=12)
    run(hook, tmp_path, 2)
    assert len(hook._chosen) == 2


def test_points_that_are_labelled_nowhere_are_not_drawn(tmp_path):
    hook = PredictionSheetHook(str(tmp_path / "sheet.png"))
    current = runner(2)
    hook.before_test_epoch(current)
    samples = [sample(tmp_path, index) for index in range(2)]
    for index, labelled in enumerate((0, 17)):  # each labels one point: nose, right fore hoof
        gt = np.array(samples[index].raw_ann_info["keypoints"]).reshape(26, 3)
        gt[:, 2] = np.where(np.arange(26) == labelled, 2, 0)
        samples[index].raw_ann_info["keypoints"] = gt.ravel().tolist()
        samples[index].pred_instances.keypoints[:] = [60.0, 60.0]
        samples[index].pred_instances.keypoints[0, [0, 17]] = [[8.0, 8.0], [8.0, 30.0]]
        samples[index].pred_instances.keypoints[0, 5] = [30.0, 8.0]
    hook.after_test_iter(current, 0, outputs=samples)
    pair, _ = hook._draw(hook._chosen[0], current.test_dataloader)
    near, far = round(8.5 * SCALE), round(30.5 * SCALE)
    prediction = pair[:, CELL_PX:]
    assert (prediction[near, near] != 128).any()
    assert (prediction[far, near] != 128).any()  # labelled in the other image
    assert (prediction[near, far] == 128).all()


def validate(hook: PredictionSheetHook, folder, current: SimpleNamespace, size: int) -> list:
    """One validation in batches of two; returns what the visualizer got."""
    hook.before_val_epoch(current)
    for start in range(0, size, 2):
        batch = [sample(folder, index) for index in range(start, min(start + 2, size))]
        hook.after_val_iter(current, start // 2, outputs=batch)
    hook.after_val_epoch(current)
    return current.shown


def test_a_validation_shows_its_sheet_in_the_colours_of_rgb(tmp_path):
    hook = PredictionSheetHook(num_instances=4)
    current = runner(5, epoch=7)
    ((name, sheet, step),) = validate(hook, tmp_path, current, 5)
    assert (name, step) == ("val_predictions", 7)
    assert [chosen.img_path for chosen in hook._chosen] == [
        str(tmp_path / f"{index}.png") for index in (0, 1, 3, 4)
    ]
    np.testing.assert_array_equal(sheet[..., ::-1], hook._sheet(current.val_dataloader))
    assert sheet.shape[1] == 3 * 2 * CELL_PX
    assert not (sheet[..., 0] == sheet[..., 2]).all()


def test_the_same_instances_in_every_validation(tmp_path):
    hook = PredictionSheetHook(num_instances=2)
    for epoch in (1, 2):
        assert len(validate(hook, tmp_path, runner(5, epoch), 5)) == 1
        assert [chosen.img_path for chosen in hook._chosen] == [
            str(tmp_path / f"{index}.png") for index in (0, 4)
        ]


@pytest.mark.parametrize(
    ("options", "rank"),
    [(dict(interval=None), 0), (dict(), 1)],
    ids=["switched off", "another rank"],
)
def test_nothing_is_kept_where_nothing_is_drawn(tmp_path, options, rank):
    hook = PredictionSheetHook(**options)
    assert validate(hook, tmp_path, runner(4, 1, rank), 4) == []
    assert hook._chosen == []
    current = runner(4, rank=rank)
    hook.before_test_epoch(current)  # and without a file nothing in a test
    hook.after_test_iter(current, 0, outputs=[sample(tmp_path, 0)])
    hook.after_test_epoch(current)
    assert hook._chosen == current.shown == []


def test_the_first_of_two_ranks_sees_half_of_the_set(tmp_path, monkeypatch):
    monkeypatch.setattr("equikpt.engine.hooks._visualization.get_world_size", lambda: 2)
    hook = PredictionSheetHook(num_instances=3)
    current = runner(9, epoch=1)  # the first rank gets five of nine
    assert len(validate(hook, tmp_path, current, 5)) == 1
    assert len(hook._chosen) == 3


def test_refuses_what_it_cannot_draw():
    with pytest.raises(ValueError, match="at least 1"):
        PredictionSheetHook("sheet.png", num_instances=0)
    with pytest.raises(ValueError, match="image file that OpenCV writes"):
        PredictionSheetHook("sheet.xyz")
    with pytest.raises(ValueError, match="interval as a number of epochs of at least 1, or None"):
        PredictionSheetHook(interval=0)
