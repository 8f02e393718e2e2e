from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.structures import PoseDataSample

from equikpt.engine.hooks.prediction_sheet_hook import PredictionSheetHook
from equikpt.metainfo.horse26 import METAINFO


class Loader:
    """As much of a runner's test dataloader as the hook reads."""

    def __init__(self, size: int) -> None:
        self.dataset = self
        self.metainfo = parse_pose_metainfo(METAINFO)
        self.size = size

    def __len__(self) -> int:
        return self.size


def runner(size: int) -> SimpleNamespace:
    logger = SimpleNamespace(info=lambda *_: None)
    return SimpleNamespace(test_dataloader=Loader(size), rank=0, logger=logger)


def sample(folder, index: int) -> PoseDataSample:
    """A gray picture whose predictions lie in its left half, the truth in its right half."""
    path = folder / f"{index}.png"
    cv2.imwrite(str(path), np.full((80, 80, 3), 128, np.uint8))
    generator = np.random.default_rng(index)
    truth = np.column_stack([generator.uniform(45, 75, (26, 2)), np.full(26, 2)])
    data_sample = PoseDataSample(
        metainfo=dict(img_path=str(path), raw_ann_info=dict(keypoints=truth.ravel().tolist()))
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


def test_draws_evenly_spaced_instances_truth_left_prediction_right(tmp_path):
    hook = PredictionSheetHook(str(tmp_path / "new/sheet.png"), num_instances=3)
    run(hook, tmp_path, 7)
    assert [chosen.img_path for chosen in hook._chosen] == [
        str(tmp_path / f"{index}.png") for index in (0, 3, 6)
    ]
    pair, caption = hook._draw(hook._chosen[0], Loader(7).metainfo)
    assert caption == "truth | prediction: 0.png"
    changed = (pair != 128).any(axis=2)
    with_truth, with_prediction = changed[:, :80], changed[:, 80:]
    assert with_truth[:, 45:].any()
    assert not with_truth[:, :40].any()
    assert with_prediction[:, :36].any()
    assert not with_prediction[:, 42:].any()
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
        truth = np.array(samples[index].raw_ann_info["keypoints"]).reshape(26, 3)
        truth[:, 2] = np.where(np.arange(26) == labelled, 2, 0)
        samples[index].raw_ann_info["keypoints"] = truth.ravel().tolist()
        samples[index].pred_instances.keypoints[:] = [60.0, 60.0]
        samples[index].pred_instances.keypoints[0, [0, 17]] = [[8.0, 8.0], [8.0, 30.0]]
        samples[index].pred_instances.keypoints[0, 5] = [30.0, 8.0]
    hook.after_test_iter(current, 0, outputs=samples)
    pair, _ = hook._draw(hook._chosen[0], current.test_dataloader.metainfo)
    prediction = pair[:, 80:]
    assert (prediction[8, 8] != 128).any()
    assert (prediction[30, 8] != 128).any()  # labelled in the other picture
    assert (prediction[8, 30] == 128).all()


def test_refuses_what_it_cannot_draw():
    with pytest.raises(ValueError, match="at least 1"):
        PredictionSheetHook("sheet.png", num_instances=0)
    with pytest.raises(ValueError, match="picture file that OpenCV writes"):
        PredictionSheetHook("sheet.xyz")
