import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from mmpose.models.heads import BaseHead

from equikpt.cli import launch
from equikpt.codecs import FastSimCCLabel
from equikpt.core.configs import find_config
from equikpt.models import silence_untrained
from equikpt.models.val_loss_estimator import decode_with_spread

SMOKE = "smoke/td-hm_efficientnet-lite0_p1p2-512x512"


@pytest.fixture
def runner(sample_radiographs, tmp_path):
    cfg = launch.load_config(str(find_config(SMOKE)))
    cfg.work_dir = str(tmp_path)
    launch.set_data_root(cfg, str(sample_radiographs))
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(batch_size=4, num_workers=0)
    cfg.visualizer.vis_backends = []
    cfg.default_hooks.checkpoint.save_best = None  # its folder is made when training starts
    return Runner.from_cfg(cfg)


def test_validation_logs_the_mean_loss_of_its_samples(runner):
    metrics = runner.val()
    model = runner.model.eval()
    batches = [model.data_preprocessor(batch, False) for batch in runner.val_dataloader]
    with torch.no_grad():
        losses = [model.loss(**batch)["loss_kpt"].item() for batch in batches]
    assert metrics["val_loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    assert metrics["landmark/radiographs"] == 6


def test_a_keypoint_that_is_not_trained_is_in_no_loss(runner):
    batch = next(iter(runner.val_dataloader))
    model = runner.model.eval()
    labels = [sample.gt_instance_labels for sample in batch["data_samples"]]
    plain = model.test_step(batch)[-1].loss["loss_kpt"].item()
    silence_untrained(model, np.array([True, False]))
    found = model.test_step(batch)[-1].loss["loss_kpt"].item()
    for label in labels:
        label.keypoint_weights[:, 1] = 0
    with torch.no_grad():
        expected = model.loss(**model.data_preprocessor(batch, False))["loss_kpt"].item()
    assert found == pytest.approx(expected, rel=1e-5)
    assert found != pytest.approx(plain, rel=1e-4)


def test_samples_without_targets_give_predictions_alone(runner):
    batch = next(iter(runner.val_dataloader))
    for sample in batch["data_samples"]:
        del sample.gt_instance_labels.keypoint_weights
    predictions = runner.model.eval().test_step(batch)
    assert len(predictions) == len(batch["data_samples"])
    assert all("pred_instances" in sample for sample in predictions)


def test_with_a_flip_test_the_loss_is_that_of_the_plain_pass(sample_data, tmp_path):
    cfg = launch.load_config("smoke/rtmpose_m_ap10k")
    cfg.work_dir = str(tmp_path)
    launch.set_data_root(cfg, str(sample_data))
    cfg.val_dataloader.update(batch_size=6, num_workers=0)
    cfg.visualizer.vis_backends = []
    runner = Runner.from_cfg(cfg)
    model = runner.model.eval()
    assert model.test_cfg.flip_test
    batch = next(iter(runner.val_dataloader))
    *samples, losses = model.test_step(batch)
    assert len(samples) == 6
    with torch.no_grad():
        plain = model.loss(**model.data_preprocessor(batch, False))
    assert losses.loss["loss_kpt"].item() == pytest.approx(plain["loss_kpt"].item(), rel=1e-5)


def test_the_spread_is_that_of_the_output_before_it_is_decoded():
    class Head:
        decoder = FastSimCCLabel(input_size=(64, 64), sigma=4.9, use_dark=True)
        decode = BaseHead.decode

    rng = np.random.default_rng(0)
    outputs = tuple(torch.from_numpy(rng.random((1, 3, 128), np.float32)) for _ in range(2))
    expected = Head.decoder.spread(*(each.numpy().copy() for each in outputs))
    (found,) = decode_with_spread(Head(), outputs)
    np.testing.assert_allclose(found.keypoint_spread, expected)
