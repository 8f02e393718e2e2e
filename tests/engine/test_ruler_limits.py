from __future__ import annotations

from types import SimpleNamespace

import pytest
from mmengine.logging import MMLogger

from equikpt.apis.ruler_look import plausible_from, recorded_limits
from equikpt.cli import launch
from equikpt.engine.ruler_limits import RulerLimitsHook, limits_of_config

COARSE = "smoke/td-hm_efficientnet-lite0_p1p2-512x512"


@pytest.fixture
def runner(sample_radiographs):
    cfg = launch.load_config(COARSE)
    launch.set_data_root(cfg, str(sample_radiographs))
    return SimpleNamespace(cfg=cfg, logger=MMLogger.get_current_instance())


def test_checkpoints_have_the_limits_of_the_training_labels(runner, sample_radiographs):
    hook, checkpoints = RulerLimitsHook(), [dict(meta=dict(epoch=n)) for n in (1, 2)]
    for checkpoint in checkpoints:
        hook.before_save_checkpoint(runner, checkpoint)
    labels = sample_radiographs / "annotations_p1_p2_train.json"
    expected = plausible_from(labels, sample_radiographs / "images", score=0.3)
    for checkpoint in checkpoints:
        found = recorded_limits(checkpoint)
        assert (found.distance, found.angle_deg) == (expected.distance, expected.angle_deg)
        assert found.look.ticks == expected.look.ticks
        assert found.source == "12 labelled rulers of annotations_p1_p2_train.json"


def test_where_they_cannot_be_learnt_a_checkpoint_has_none(runner):
    runner.cfg.train_dataloader.dataset.ann_file = "absent.json"
    checkpoint = dict(meta={})
    RulerLimitsHook().before_save_checkpoint(runner, checkpoint)
    assert checkpoint == dict(meta={})


@pytest.mark.parametrize(
    "config",
    ["smoke/td-hm_efficientnet-lite0_p1p2-refine-192x192", "smoke/rtmpose_m_ap10k"],
    ids=["crops around marks", "horses"],
)
def test_other_data_have_none(config):
    assert limits_of_config(launch.load_config(config)) is None
