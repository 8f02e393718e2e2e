from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from equikpt.cli import launch
from equikpt.compat.safe_load import load_from_local
from equikpt.config_checks.keys import check_config as check_sizes
from equikpt.core.configs import strip_pretrained_init
from equikpt.engine.unlabelled import (
    STATE,
    UnlabelledHook,
    check_config,
)
from equikpt.structures.uncertainty import Uncertainty

HEATMAPS = "smoke/td-hm_efficientnet-lite0_horse26-192x192"
SIMCC = "smoke/rtmpose_m_ap10k"


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


@pytest.mark.slow
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


def test_confidence_is_calibrated_once_a_validation_was():
    hook = UnlabelledHook()
    scores = torch.tensor([[0.2, 0.6, 1.3]])
    torch.testing.assert_close(hook.confidence(scores), torch.tensor([[0.2, 0.6, 1.0]]))
    limits = np.array([0.0, 1.0]), np.array([0.0, 0.5])
    hook._fit = Uncertainty(np.array([0.9]), np.ones((3, 1)), 1.0, *limits)
    torch.testing.assert_close(hook.confidence(scores), torch.tensor([[0.1, 0.3, 0.5]]))


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


def test_targets_are_of_the_crops_that_are_trained_on(config_of):
    cfg = config_of(HEATMAPS)
    larger = dict(cfg.model.head.decoder, input_size=(160, 160), heatmap_size=(20, 20))
    cfg.model.head.decoder = larger
    for split in ("val", "test"):
        cfg[f"{split}_dataloader"].dataset.codec = larger
    check_sizes(cfg)
    runner, hook, batch = prepared(cfg)
    hook._batches = iter(hook._loader)
    samples, shown = hook.teach(runner, next(hook._batches), 1.0)
    small = cfg.train_dataloader.dataset.codec
    assert tuple(shown[0].shape[1:]) == tuple(small.input_size)
    assert samples[0].gt_fields.heatmaps.shape[1:] == torch.Size(small.heatmap_size)
