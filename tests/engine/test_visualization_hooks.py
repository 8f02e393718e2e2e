from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmengine.visualization import LocalVisBackend
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.structures import PoseDataSample
from torch import nn

from equikpt.engine import visualization_hooks
from equikpt.engine.visualization_hooks import (
    PredictionSheetHook,
    SampledImagesHook,
    SequenceVisualizationHook,
    evenly_spaced,
    log_image,
)
from equikpt.metainfo.horse26 import METAINFO
from equikpt.models.sequential_attention import Steps
from equikpt.models.step_targets import SequenceTargets
from equikpt.visualization.ground_truth_pair import CELL_PX
from equikpt.visualization.pose import PREDICTION_BGR, TARGET_BGR
from equikpt_runtime.drawing import ERROR_BGR
from tests.engine.conftest import epoch_loop, iteration_loop, make_runner

# --- samples and epochs ---


def due(hook: SampledImagesHook, epochs, max_epochs: int = 20) -> list[int]:
    runners = {e: make_runner(_train_loop=epoch_loop(e, max_epochs)) for e in epochs}
    return [epoch for epoch, runner in runners.items() if hook.should_draw(runner)]


@pytest.mark.parametrize(
    ("interval", "validated", "expected"),
    [
        (1, range(1, 5), [1, 2, 3, 4]),
        (5, range(1, 21), [1, 6, 11, 16, 20]),
        (5, range(4, 21, 4), [4, 12, 20]),  # an interval that is no multiple of the validation's
        (5, range(10, 21, 10), [10, 20]),
        (50, range(1, 21), [1, 20]),  # the first and the last at any rate
        (5, range(8, 14), [8, 13]),  # a resumed run begins with images
        (None, range(1, 21), []),
    ],
)
def test_epochs_with_images(interval, validated, expected):
    assert due(SampledImagesHook(interval), validated) == expected


def test_other_ranks_have_no_images():
    assert not SampledImagesHook(1).should_draw(make_runner(_train_loop=epoch_loop(1), rank=1))


@pytest.mark.parametrize(
    "loops",
    [[None, None], [dict(by_epoch=True)] * 2, [iteration_loop(1000), iteration_loop(2000)]],
    ids=["no training", "a training that is not built", "a loop by iterations"],
)
def test_without_epochs_every_validation_has_images(loops):
    hook = SampledImagesHook(5)
    assert all(hook.should_draw(make_runner(_train_loop=loop)) for loop in loops)


@pytest.mark.parametrize(
    ("size", "ranks", "count", "expected"),
    [(7, 1, 3, [0, 3, 6]), (2, 1, 6, [0, 1]), (9, 2, 3, [0, 2, 4]), (1, 1, 1, [0])],
)
def test_evenly_spaced(monkeypatch, size, ranks, count, expected):
    monkeypatch.setattr(visualization_hooks, "get_world_size", lambda: ranks)
    assert evenly_spaced(size, count) == expected


@pytest.mark.parametrize(
    ("loop", "step"),
    [(epoch_loop(3), 3), (iteration_loop(2000), 2000), (None, 0)],
    ids=["epochs", "iterations", "no training"],
)
def test_an_image_lies_in_the_local_folder_as_it_was_drawn(tmp_path, loop, step):
    sheet = np.random.default_rng(0).integers(0, 256, (8, 6, 3)).astype(np.uint8)
    runner = make_runner(_train_loop=loop, visualizer=LocalVisBackend(str(tmp_path)))
    log_image(runner, "val_predictions", sheet)
    (path,) = (tmp_path / "vis_image").iterdir()
    assert path.name == f"val_predictions_{step}.png"
    np.testing.assert_array_equal(cv2.imread(str(path)), sheet)


@pytest.mark.parametrize(
    ("hook", "options", "words"),
    [
        (PredictionSheetHook, dict(num_instances=0), "num_instances of at least 1"),
        (PredictionSheetHook, dict(interval=0), "epochs of at least 1, or None"),
        (PredictionSheetHook, dict(out_file="sheet.xyz"), "image file that OpenCV writes"),
        (SequenceVisualizationHook, dict(num_images=0), "num_images of at least 1"),
        (SequenceVisualizationHook, dict(interval=0), "at least 1, or None"),
    ],
)
def test_wrong_options_are_refused(hook, options, words):
    with pytest.raises(ValueError, match=words):
        hook(**options)


# --- predictions ---


class Dataset:
    metainfo = parse_pose_metainfo(METAINFO)

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size


def runner_of(size: int, epoch: int = 0, rank: int = 0) -> SimpleNamespace:
    loader = SimpleNamespace(dataset=Dataset(size))
    return make_runner(
        test_dataloader=loader, val_dataloader=loader, rank=rank, _train_loop=epoch_loop(epoch)
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


@pytest.fixture
def sheets(monkeypatch) -> list:
    """The pairs and captions of each sheet that is drawn."""
    drawn: list = []
    contact_sheet = visualization_hooks.contact_sheet

    def recorded(images, **options):
        drawn.append((images, options.get("captions")))
        return contact_sheet(images, **options)

    monkeypatch.setattr(visualization_hooks, "contact_sheet", recorded)
    return drawn


def run(hook, folder, runner, split: str = "val") -> list[int]:
    """One validation or test in batches of two; the numbers of the drawn samples."""
    size = -(-len(runner.val_dataloader.dataset) // visualization_hooks.get_world_size())
    getattr(hook, f"before_{split}_epoch")(runner)
    for start in range(0, size, 2):
        batch = [sample(folder, index) for index in range(start, min(start + 2, size))]
        getattr(hook, f"after_{split}_iter")(runner, start // 2, outputs=batch)
    getattr(hook, f"after_{split}_epoch")(runner)
    return [int(chosen.img_path.removesuffix(".png").split("/")[-1]) for chosen in hook._chosen]


def test_a_test_draws_evenly_spaced_instances_gt_left_prediction_right(tmp_path, sheets):
    hook = PredictionSheetHook(str(tmp_path / "new/sheet.png"), num_instances=3)
    assert run(hook, tmp_path, runner_of(7), "test") == [0, 3, 6]
    (((pair, *_), captions),) = sheets
    assert captions[0] == "ground truth | prediction: 0.png"
    changed = (pair != 128).any(axis=2)
    middle = CELL_PX // 2
    with_gt, with_prediction = changed[:, :CELL_PX], changed[:, CELL_PX:]
    assert with_gt[:, middle:].any()
    assert not with_gt[:, :middle].any()
    assert with_prediction[:, :middle].any()
    assert not with_prediction[:, middle:].any()
    assert cv2.imread(str(tmp_path / "new/sheet.png")) is not None


def test_fewer_instances_than_asked_for(tmp_path):
    assert run(PredictionSheetHook(num_instances=12), tmp_path, runner_of(2)) == [0, 1]


@pytest.mark.parametrize("trained", [True, False], ids=["trained", "not trained"])
def test_points_that_are_labelled_nowhere_or_not_trained_are_not_drawn(tmp_path, sheets, trained):
    hook = PredictionSheetHook()
    runner = runner_of(2)
    record = [index != 17 or trained for index in range(26)]
    runner.val_dataloader.dataset.metainfo = Dataset.metainfo | dict(trained_keypoints=record)
    hook.before_val_epoch(runner)
    samples = [sample(tmp_path, index) for index in range(2)]
    for index, labelled in enumerate((0, 17)):  # each labels one point: nose, right fore hoof
        gt = np.array(samples[index].raw_ann_info["keypoints"]).reshape(26, 3)
        gt[:, 2] = np.where(np.arange(26) == labelled, 2, 0)
        samples[index].raw_ann_info["keypoints"] = gt.ravel().tolist()
        samples[index].pred_instances.keypoints[:] = [60.0, 60.0]
        samples[index].pred_instances.keypoints[0, [0, 17]] = [[8.0, 8.0], [8.0, 30.0]]
        samples[index].pred_instances.keypoints[0, 5] = [30.0, 8.0]
    hook.after_val_iter(runner, 0, outputs=samples)
    hook.after_val_epoch(runner)
    near, far = round(8.5 * CELL_PX / 80), round(30.5 * CELL_PX / 80)
    prediction = sheets[0][0][0][:, CELL_PX:]
    assert (prediction[near, near] != 128).any()
    assert (prediction[far, near] != 128).any() == trained  # labelled in the other image
    assert (prediction[near, far] == 128).all()


def test_validations_show_the_same_instances_in_the_colours_of_rgb(tmp_path, sheets):
    hook = PredictionSheetHook(num_instances=4)
    for epoch in (1, 2):
        runner = runner_of(5, epoch)
        assert run(hook, tmp_path, runner) == [0, 1, 3, 4]
        ((name, sheet, step),) = runner.images
        assert (name, step) == ("val_predictions", epoch)
        assert sheet.shape[1] == 3 * 2 * CELL_PX
        pair = sheets[-1][0][0]
        np.testing.assert_array_equal(
            sheet[: CELL_PX // 2, : 2 * CELL_PX, ::-1], pair[: CELL_PX // 2]
        )
        assert not (sheet[..., 0] == sheet[..., 2]).all()


@pytest.mark.parametrize(
    ("options", "rank"),
    [(dict(interval=None), 0), (dict(), 1)],
    ids=["switched off", "another rank"],
)
@pytest.mark.parametrize("split", ["val", "test"])
def test_nothing_is_kept_where_nothing_is_drawn(tmp_path, options, rank, split):
    runner = runner_of(4, 1, rank)  # and without a file nothing in a test
    assert run(PredictionSheetHook(**options), tmp_path, runner, split) == runner.images == []


def test_the_first_of_two_ranks_sees_half_of_the_set(tmp_path, monkeypatch):
    monkeypatch.setattr(visualization_hooks, "get_world_size", lambda: 2)
    runner = runner_of(9, epoch=1)  # the first rank gets five of nine
    assert run(PredictionSheetHook(num_instances=3), tmp_path, runner) == [0, 2, 4]
    assert len(runner.images) == 1


# --- steps of sequences ---

SIDE = 96
POINTS = torch.tensor([[[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5]]])
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
        return SequenceTargets(
            steps=Steps(PREDICTED, 20 * done - 10, torch.zeros(1, 4, 1)),
            input_points=POINTS,
            points=POINTS,
            target_mask=torch.zeros(1, 4, 3),
            target=torch.cat([POINTS, POINTS[:, -1:]], dim=1),
            has_target=1 - done,
            done=done,
            step_mask=torch.ones(1, 4),
        )


def run_steps(hook: SequenceVisualizationHook, size: int, epoch: int = 0) -> list:
    """One validation; returns what the visualizer got."""
    loader = SimpleNamespace(dataset=range(size))
    runner = make_runner(model=Model(), val_dataloader=loader, _train_loop=epoch_loop(epoch))
    hook.before_val_epoch(runner)
    for start in range(0, size, 2):
        count = min(2, size - start)
        batch = dict(
            inputs=[torch.zeros(3, SIDE, SIDE, dtype=torch.uint8)] * count,
            data_samples=[PoseDataSample(gt_instance_labels=InstanceData())] * count,
        )
        hook.after_val_iter(runner, start // 2, batch, batch["data_samples"])
    hook.after_val_epoch(runner)
    return runner.images


def test_one_sheet_a_validation_with_the_steps_in_it(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        visualization_hooks,
        "draw_step",
        lambda image, *rest: drawn.append(rest) or np.zeros((SIDE, 2 * SIDE, 3), np.uint8),
    )
    ((name, sheet, step),) = run_steps(SequenceVisualizationHook(num_images=5), size=9, epoch=3)
    assert (name, step) == ("val_steps", 3)
    assert sheet.shape == (3 * SIDE, 4 * SIDE, 3)
    assert [len(given) for given, *_ in drawn] == [0, 1, 2, 3, 3]  # of three points
    given, coords, target, done = drawn[1]
    assert given.tolist() == [[24, 24]]
    assert target.tolist() == [72, 24]  # the one that the loss used
    assert coords.tolist() == [48, 24]
    assert done < 0.01
    *_, last_target, last_done = drawn[4]
    assert last_target is None
    assert last_done > 0.99


def test_the_drawing_has_its_colours():
    ((_, sheet, _),) = run_steps(SequenceVisualizationHook(num_images=2), size=2)
    for bgr in (TARGET_BGR, PREDICTION_BGR, ERROR_BGR):
        assert (sheet == np.array(bgr[::-1])).all(axis=-1).any()


def test_epochs_between_have_no_sheet():
    hook = SequenceVisualizationHook(interval=2)
    assert [len(run_steps(hook, size=2, epoch=epoch)) for epoch in range(1, 5)] == [1, 0, 1, 0]


def test_another_head_is_refused():
    model = nn.Module()
    model.head = nn.Linear(1, 1)
    with pytest.raises(ValueError, match="SequentialAttentionHead"):
        SequenceVisualizationHook().before_train(SimpleNamespace(model=model))
