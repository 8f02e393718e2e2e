from __future__ import annotations

from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.runner import BaseLoop

from equikpt.core.configs import find_config
from equikpt.engine.hooks.keypoint_channels_hook import KeypointChannelsHook
from tests.engine.hooks.test_remap_checkpoint_hook import log_of, make_runner


class Loop(BaseLoop):
    def __init__(self, points: int) -> None:
        dataset = SimpleNamespace(metainfo=dict(num_keypoints=points))
        self._dataloader = SimpleNamespace(dataset=dataset)

    @property
    def dataloader(self):
        return self._dataloader

    def run(self):
        """Only its data set counts."""


@pytest.mark.parametrize("loop", ["_train_loop", "_val_loop", "_test_loop"])
def test_a_run_on_other_keypoints_stops_before_its_first_step(tmp_path, loop):
    runner = make_runner(tmp_path / "run", dict(type="KeypointChannelsHook"))
    setattr(runner, loop, Loop(26))
    runner.call_hook("before_run")
    setattr(runner, loop, Loop(16))
    with pytest.raises(ValueError, match=r"the 16 keypoints.*out_channels=26"):
        runner.call_hook("before_run")


def test_it_warns_of_weights_of_other_keypoints(tmp_path):
    runner = make_runner(tmp_path / "run", dict(type="KeypointChannelsHook"))
    runner._test_loop = Loop(26)
    runner._test_loop.dataloader.dataset.metainfo["keypoint_id2name"] = {0: "nose"}
    meta = {"dataset_meta": {"keypoint_id2name": {0: "tail"}}}
    runner.call_hook("after_load_checkpoint", checkpoint={"meta": meta})
    assert "0 was tail and is nose" in log_of(runner)


def test_each_config_has_it():
    cfg = Config.fromfile(find_config("smoke/rtmpose_m_ap10k"))
    kinds = [hook.type for hook in cfg.default_hooks.values()]
    assert KeypointChannelsHook.__name__ in kinds
