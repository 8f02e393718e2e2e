import copy

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

from equikpt.cli import launch
from equikpt.core.configs import find_config, strip_pretrained_init
from equikpt.models import silence_untrained

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


LEFT, RIGHT = 16, 17
"""Front hooves of horse26."""
ONE_LEG, OTHER_LEG = (40.0, 100.0), (96.0, 100.0)


def horse_model(**test_cfg):
    """A model whose head gives planted maps: both front hooves are surer of one leg."""
    cfg = launch.load_config("smoke/td-hm_efficientnet-lite0_horse26-192x192")
    strip_pretrained_init(cfg.model)
    cfg.model.test_cfg.update(flip_test=False, **test_cfg)
    init_default_scope("mmpose")
    model = MODELS.build(cfg.model).eval()
    one, other = (
        model.head.decoder.encode(np.full((1, 26, 2), leg, np.float32))["heatmaps"]
        for leg in (ONE_LEG, OTHER_LEG)
    )
    planted = torch.from_numpy(0.7 * one)
    planted[RIGHT] = torch.from_numpy(0.5 * one + 0.45 * other)[RIGHT]
    model.head.forward = lambda _: planted[None].clone()
    return model


def hooves_px(model) -> list[float]:
    """x of the left and of the right front hoof, px of the input."""
    swap = list(range(26))
    swap[LEFT], swap[RIGHT] = RIGHT, LEFT
    size = np.array([128.0, 128.0])
    sample = PoseDataSample(
        metainfo=dict(flip_indices=swap, input_center=size / 2, input_scale=size, input_size=size)
    )
    sample.gt_instances = InstanceData(bboxes=np.zeros((1, 4)), bbox_scores=np.ones(1))
    sample.gt_instance_labels = InstanceData()
    with torch.no_grad():
        (found,) = model.predict(torch.zeros(1, 3, 128, 128), [sample])
    return found.pred_instances.keypoints[0, [LEFT, RIGHT], 0].tolist()


def test_pairs_are_separated_where_the_config_says_so():
    together, apart = (horse_model(separate_pairs=on) for on in (False, True))
    assert hooves_px(together) == pytest.approx([ONE_LEG[0], ONE_LEG[0]], abs=6)
    assert hooves_px(apart) == pytest.approx([ONE_LEG[0], OTHER_LEG[0]], abs=6)
    assert hooves_px(copy.deepcopy(apart)) == hooves_px(apart)


def test_a_pair_that_is_not_trained_on_both_sides_is_left_alone():
    """The map of a keypoint that was never trained is noise."""
    model = horse_model(separate_pairs=True)
    silence_untrained(model, np.arange(26) != LEFT)
    assert hooves_px(model)[1] == pytest.approx(ONE_LEG[0], abs=6)


def test_pairs_are_separated_on_heatmaps_alone():
    cfg = launch.load_config("smoke/rtmpose_m_ap10k")
    strip_pretrained_init(cfg.model)
    cfg.model.test_cfg.separate_pairs = True
    init_default_scope("mmpose")
    with pytest.raises(ValueError, match="separate_pairs"):
        MODELS.build(cfg.model)
