from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from equikpt.cli import launch
from equikpt.core.project import find_checkpoint
from equikpt.engine.training_features import training_features_of_config
from equikpt.structures import recorded_uncertainty
from equikpt.structures.training_features import recorded_training_features

SMOKE = "smoke/td-hm_efficientnet-lite0_horse26-192x192"


@pytest.fixture(scope="module")
def trained(sample_data, tmp_path_factory):
    """A run of one epoch of the smallest config, and its config."""
    cfg = launch.load_config(SMOKE)
    cfg.work_dir = str(tmp_path_factory.mktemp("run"))
    launch.set_data_root(cfg, str(sample_data))
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    cfg.param_scheduler = []
    cfg.visualizer.vis_backends = []
    Runner.from_cfg(cfg).train()
    return cfg


def read(path) -> dict:
    return torch.load(path, weights_only=False)


def test_both_stable_checkpoints_have_the_fit_to_their_validation(trained):
    fits = [
        recorded_uncertainty(read(f"{trained.work_dir}/{name}.pth")) for name in ("best", "last")
    ]
    assert all(fit is not None for fit in fits)
    assert fits[0].source == fits[1].source
    assert fits[0].radius(np.ones((1, 26)), 0.5).shape == (1, 26)


def test_they_have_the_features_of_the_training_images_of_their_own_weights(trained):
    best, last = (read(f"{trained.work_dir}/{name}.pth") for name in ("best", "last"))
    model = Runner.from_cfg(trained).model
    for checkpoint in (best, last):
        model.load_state_dict(checkpoint["state_dict"])
        expected = training_features_of_config(trained, model)
        found = recorded_training_features(checkpoint)
        np.testing.assert_allclose(found.positions, expected.positions, atol=2e-3)
        assert found.limit == pytest.approx(expected.limit, rel=1e-3)


def test_a_test_applies_it(trained):
    cfg = trained.copy()
    cfg.load_from, cfg.resume = str(find_checkpoint(cfg.work_dir)), False
    cfg.test_dataloader = cfg.val_dataloader
    runner = Runner.from_cfg(cfg)
    metrics = runner.test()
    batch = next(iter(runner.test_dataloader))
    found = runner.model.eval().test_step(batch)[0].pred_instances
    fit = recorded_uncertainty(read(cfg.load_from))
    assert np.array_equal(found.keypoint_probability, fit.probability(found.keypoint_scores))
    assert (found.keypoint_radius >= fit.radius(found.keypoint_spread, 0.5)).all()
    assert "uncertainty/ECE" in metrics


def test_weights_that_went_on_have_no_fit(trained, tmp_path):
    cfg = trained.copy()
    cfg.work_dir = str(tmp_path)
    cfg.load_from, cfg.resume = str(find_checkpoint(trained.work_dir)), False
    cfg.train_cfg.update(val_begin=5)  # never
    cfg.default_hooks.checkpoint.save_best = None
    del cfg.default_hooks["early_stopping"]
    cfg.default_hooks.checkpoint.interval = 1
    Runner.from_cfg(cfg).train()
    assert recorded_uncertainty(read(tmp_path / "last.pth")) is None
