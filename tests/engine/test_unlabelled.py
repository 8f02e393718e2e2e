from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from equikpt.cli import launch
from equikpt.compat.safe_load import load_from_local
from equikpt.core.configs import strip_pretrained_init
from equikpt.engine.unlabelled import (
    STATE,
    ShareWatch,
    UnlabelledHook,
    check_config,
    ramp_up,
)
from equikpt.engine.unlabelled_images import list_unlabelled, usable_images
from equikpt.models.pseudo_targets import heatmap_targets, simcc_targets
from equikpt.structures.uncertainty import Uncertainty

HEATMAPS = "smoke/td-hm_efficientnet-lite0_horse26-192x192"
SIMCC = "smoke/rtmpose_m_ap10k"


@pytest.fixture(scope="module")
def unlabelled(sample_data, tmp_path_factory):
    """A folder with turned and enlarged images of the test split."""
    folder = tmp_path_factory.mktemp("unlabelled")
    for number, path in enumerate(sorted((sample_data / "images/test").iterdir())):
        image = cv2.imread(str(path))
        height, width = image.shape[:2]
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), 25, 1.4)
        cv2.imwrite(str(folder / f"{number}.png"), cv2.warpAffine(image, turn, (width, height)))
    return folder


@pytest.fixture
def config_of(sample_data, unlabelled, tmp_path):
    """``config_of(name, **options)``: two epochs of three steps, from random weights."""

    def make(name: str, epochs: int = 2, work_dir: str = "run", **options):
        cfg = launch.load_config(name)
        cfg.work_dir = str(tmp_path / work_dir)
        launch.set_data_root(cfg, str(sample_data))
        strip_pretrained_init(cfg.model)
        cfg.model.backbone.frozen_stages = -1
        cfg.optim_wrapper.paramwise_cfg = dict(norm_decay_mult=0)
        cfg.train_cfg.update(max_epochs=epochs, val_interval=1)
        cfg.param_scheduler = []
        cfg.train_dataloader.update(batch_size=4, num_workers=0)
        cfg.val_dataloader.num_workers = 0
        for hook in ("training_features", "images", "early_stopping"):
            cfg.default_hooks.pop(hook)
        cfg.default_hooks.checkpoint.update(interval=1, save_best=None, max_keep_ckpts=-1)
        cfg.visualizer.vis_backends = []
        own = dict(source=str(unlabelled), begin=0.0, end=0.5, min_confidence=0.0, batch_size=3)
        cfg.default_hooks.unlabelled.update({**own, **options})
        return cfg

    return make


def prepared(cfg) -> tuple[Runner, UnlabelledHook, dict]:
    """A runner before its first step, its hook, and a batch with unlabelled images."""
    runner = Runner.from_cfg(cfg)
    _ = runner.train_loop
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.call_hook("before_run")
    runner.call_hook("before_train")
    hook = next(each for each in runner.hooks if isinstance(each, UnlabelledHook))
    hook.before_train_epoch(runner)
    batch = next(iter(runner.train_dataloader))
    return runner, hook, batch


@pytest.mark.parametrize("name", [HEATMAPS, SIMCC])
def test_the_student_learns_from_unlabelled_images_and_the_teacher_does_not(config_of, name):
    runner, hook, batch = prepared(config_of(name))
    model, teacher = runner.model.train(), hook._ema.ema_model.module
    inputs, samples = batch["inputs"], batch["data_samples"]
    hook.before_train_iter(runner, 0, batch)
    assert (len(inputs), len(batch["inputs"])) == (4, 7)
    assert batch["data_samples"][:4] == samples
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    data = model.data_preprocessor(batch, True)
    model(**data, mode="loss")["loss_unlabelled"].backward()
    for part in (model.backbone, model.head):
        assert sum(float(p.grad.abs().sum()) for p in part.parameters() if p.grad is not None) > 0
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())
    after = teacher.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())


def test_the_labelled_part_is_that_of_a_training_on_labels_alone(config_of):
    runner, hook, batch = prepared(config_of(HEATMAPS))
    model = runner.model.train()
    alone = model(**model.data_preprocessor(dict(batch), True), mode="loss")
    hook.before_train_iter(runner, 0, batch)
    both = model(**model.data_preprocessor(batch, True), mode="loss")
    assert set(both) - set(alone) == {"loss_unlabelled"}
    for key, value in alone.items():
        assert torch.equal(value, both[key]), key


def test_a_resumed_run_is_the_uninterrupted_one(config_of, tmp_path):
    Runner.from_cfg(config_of(HEATMAPS)).train()
    (tmp_path / "half").mkdir()
    shutil.copy(tmp_path / "run/epoch_1.pth", tmp_path / "half")
    cfg = config_of(HEATMAPS, work_dir="half")
    launch.set_resume(cfg, "auto", overwrite=False)
    Runner.from_cfg(cfg).train()
    whole, resumed = (load_from_local(tmp_path / f"{name}/epoch_2.pth") for name in ("run", "half"))
    for part in ("state_dict", "ema_state_dict"):
        for name, expected in whole[part].items():
            torch.testing.assert_close(resumed[part][name], expected, rtol=0, atol=1e-6, msg=name)
    assert whole[STATE] == resumed[STATE]
    assert whole[STATE]["fit"] is not None  # of the validation, so both went by the same
    assert whole[STATE]["watch"]["best"] > 0


def test_heatmap_targets_of_an_encoded_point_lie_where_it_goes(config_of):
    cfg = config_of(HEATMAPS)
    head = launch.build_model(cfg).head
    point = np.array([[[40.0, 56]]], np.float32)
    maps = torch.from_numpy(head.decoder.encode(point)["heatmaps"])[None]
    matrix = torch.tensor([[[0.8, 0, 20], [0, 0.8, -4]]])
    targets, scores, points = heatmap_targets(head, [maps], matrix)
    np.testing.assert_allclose(points[0, 0], [52, 40.8], atol=5)  # half a cell is 4 px
    found, _ = head.decoder.decode(targets["heatmaps"][0].numpy())
    np.testing.assert_allclose(found[0, 0], [52, 40.8], atol=1)
    assert 0.8 < float(scores) <= 1


def test_simcc_targets_of_an_encoded_point_become_its_distribution_in_the_loss(config_of):
    head = launch.build_model(config_of(SIMCC)).head
    encoded = head.decoder.encode(np.array([[[40.0, 56]]], np.float32))
    maps = [torch.from_numpy(encoded[f"keypoint_{axis}_labels"]) for axis in "xy"]
    matrix = torch.tensor([[[0.0, -1, 120], [1, 0, 0]]])  # a quarter turn
    targets, _, points = simcc_targets(head, maps, matrix)
    assert points[0, 0].tolist() == [64, 40]
    loss = head.loss_module
    for axis, expected in zip("xy", (maps[1].flip(-1), maps[0]), strict=True):
        found = torch.softmax(loss.label_beta * targets[f"keypoint_{axis}_labels"], -1)
        assert int(found.argmax()) == 2 * dict(x=64, y=40)[axis]
        peak = torch.softmax(loss.beta * expected, -1).max()
        assert float(found.max()) == pytest.approx(float(peak), rel=0.1)


def test_confidence_is_calibrated_once_a_validation_was():
    hook = UnlabelledHook()
    scores = torch.tensor([[0.2, 0.6, 1.3]])
    torch.testing.assert_close(hook.confidence(scores), torch.tensor([[0.2, 0.6, 1.0]]))
    limits = np.array([0.0, 1.0]), np.array([0.0, 0.5])
    hook._fit = Uncertainty(np.array([0.9]), np.ones((3, 1)), 1.0, *limits)
    torch.testing.assert_close(hook.confidence(scores), torch.tensor([[0.1, 0.3, 0.5]]))


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


def test_a_stopped_run_trains_on_labels_alone(config_of):
    runner, hook, batch = prepared(config_of(HEATMAPS))
    hook.watch.stopped = True
    hook.before_train_iter(runner, 0, batch)
    assert len(batch["inputs"]) == 4


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sequential_efficientnet-lite0_fsc147-384x384", "HeatmapHead"),
        ("experimental/hm_litehrnet_coco-whole-256x256", "BottomupEstimator"),
        ("td-hm_hrnet-w18_p1p2-512x512", "SpatialSoftmaxLoss"),
    ],
)
def test_other_models_are_refused(name, words):
    with pytest.raises(ValueError, match="train it on labels alone") as caught:
        check_config(launch.load_config(name))
    assert words in str(caught.value)


def test_a_config_without_an_average_or_with_equal_weights_is_refused():
    cfg = launch.load_config(HEATMAPS)
    cfg.model.head.loss.use_target_weight = False
    with pytest.raises(ValueError, match="use_target_weight=True"):
        check_config(cfg)
    cfg = launch.load_config(HEATMAPS)
    cfg.custom_hooks = []
    with pytest.raises(ValueError, match="EMAHook"):
        check_config(cfg)


def test_options_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"begin=0.6, end=0.5"):
        UnlabelledHook(begin=0.6)


def test_labelled_and_damaged_images_are_left_out_and_counted(
    config_of, sample_data, unlabelled, tmp_path, caplog
):
    folder = tmp_path / "mixed"
    shutil.copytree(unlabelled, folder)
    for split in ("train", "val"):
        path = min((sample_data / "images" / split).iterdir())
        image = cv2.resize(cv2.imread(str(path)), None, fx=0.8, fy=0.8)  # another file
        cv2.imwrite(str(folder / f"{split}.png"), image[:, ::-1])
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xe0 no image")
    found = usable_images(folder, config_of(HEATMAPS))
    assert sorted(path.rsplit("/", 1)[-1] for path, _ in found) == [f"{i}.png" for i in range(4)]
    height, width = cv2.imread(found[0][0]).shape[:2]
    assert found[0][1].tolist() == [0, 0, width, height]


def test_a_folder_with_labelled_images_alone_is_refused(config_of, sample_data):
    with pytest.raises(ValueError, match=r"none of 6 is left: 6 like validation or test images"):
        usable_images(sample_data / "images/val", config_of(HEATMAPS))


def test_boxes_of_a_file_and_whole_images_of_a_folder_are_listed(unlabelled, tmp_path):
    assert [box for _, box in list_unlabelled(unlabelled)] == [None] * 4
    shutil.copytree(unlabelled, tmp_path / "images")
    images = [dict(id=i, file_name=f"{i}.png", width=320, height=240) for i in range(4)]
    boxes = [dict(id=i, image_id=i, category_id=1, bbox=[1, 2, 30, 40]) for i in (1, 1, 3)]
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(dict(images=images, annotations=boxes, categories=[])))
    listed = list_unlabelled(path)
    assert [name.rsplit("/", 1)[-1] for name, _ in listed] == ["1.png", "1.png", "3.png"]
    assert listed[0][1].tolist() == [1, 2, 31, 42]
    path.write_text(json.dumps(dict(images=images, annotations=[dict(boxes[0], bbox=None)])))
    with pytest.raises(ValueError, match="give a folder"):
        list_unlabelled(path)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected images"):
        list_unlabelled(tmp_path)
