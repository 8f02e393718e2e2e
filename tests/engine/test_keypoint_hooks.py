from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config

from equikpt.core.configs import find_config
from tests.engine.test_weight_hooks import Loop, log_of, make_runner


@pytest.mark.parametrize("loop", ["_train_loop", "_val_loop", "_test_loop"])
def test_a_run_on_other_keypoints_stops_before_its_first_step(tmp_path, loop):
    runner = make_runner(tmp_path / "run", dict(type="KeypointChannelsHook"))
    setattr(runner, loop, Loop(26))
    runner.call_hook("before_run")
    setattr(runner, loop, Loop(16))
    with pytest.raises(ValueError, match=r"the 16 keypoints.*out_channels=26"):
        runner.call_hook("before_run")


def test_weights_of_other_keypoints_are_warned_of(tmp_path):
    runner = make_runner(tmp_path / "run", dict(type="KeypointChannelsHook"))
    runner._test_loop = Loop(26)
    meta = {"dataset_meta": {"keypoint_id2name": {0: "tail"}}}
    runner.call_hook("after_load_checkpoint", checkpoint={"meta": meta})
    assert "0 was tail and is nose" in log_of(runner)


def test_each_config_checks_its_keypoints_and_notes_the_trained_ones():
    cfg = Config.fromfile(find_config("smoke/rtmpose_m_ap10k"))
    hooks = [hook.type for hook in cfg.default_hooks.values()]
    assert {"KeypointChannelsHook", "TrainedKeypointsHook"} <= set(hooks)


# --- keypoints without a label ---


class Labels(Loop):
    """A loop over one sample, whose keypoints are labelled as told; it evaluates."""

    def __init__(self, *labelled: bool) -> None:
        class Samples:
            _metainfo = dict(
                sigmas=[0.05] * len(labelled),
                num_keypoints=len(labelled),
                keypoint_id2name=dict(enumerate("abcd")),
                flip_indices=list(range(len(labelled))),
            )
            metainfo = property(lambda self: copy.deepcopy(self._metainfo))

            def __len__(self) -> int:
                return 1

            def get_data_info(self, index: int) -> dict:
                return dict(keypoints_visible=np.array([labelled], float))

        self._dataloader = SimpleNamespace(dataset=Samples())
        self.evaluator = SimpleNamespace(dataset_meta=self.metainfo)

    @property
    def metainfo(self) -> dict:
        return self._dataloader.dataset.metainfo

    @property
    def records(self) -> list:
        """Records of the data set and of the metrics."""
        metas = (self.metainfo, self.evaluator.dataset_meta)
        return [meta.get("trained_keypoints") for meta in metas]


def begin(runner, resumes: bool = False, record: list | None = None) -> None:
    """Start as ``Runner.train`` or ``Runner.test``, from weights with a record or without."""
    runner._resume = resumes
    runner.call_hook("before_run")
    meta = {"dataset_meta": {"trained_keypoints": record} if record else {}}
    runner.call_hook("after_load_checkpoint", checkpoint={"meta": meta})
    if runner._train_loop is not None:
        runner.call_hook("before_train")


@pytest.fixture
def noting(tmp_path):
    """A runner with the hook, and without one that needs more than that."""
    runner = make_runner(tmp_path / "run")
    runner._hooks = []
    runner.register_hook(dict(type="TrainedKeypointsHook"))
    return runner


@pytest.mark.parametrize(
    ("resumes", "record", "expected"),
    [
        (False, None, [True, False, False, True]),
        (False, [False, True, True, True], [True, False, False, True]),
        (True, [False, True, False, True], [True, True, False, True]),
        (True, None, [True, False, False, True]),
    ],
    ids=["a training", "from other weights", "resumed", "resumed from an old one"],
)
def test_the_labels_of_a_training_are_noted_for_all(noting, resumes, record, expected):
    noting._train_loop, noting._val_loop = Labels(1, 0, 0, 1), Labels(1, 1, 1, 1)
    begin(noting, resumes, record)
    assert noting._train_loop.records[0] == expected
    assert noting._val_loop.records == [expected] * 2
    names = ", ".join(name for name, known in zip("abcd", expected, strict=True) if not known)
    line = f"{4 - sum(expected)} of 4 keypoints have no label in training: {names}; they are not"
    assert log_of(noting).count(line) == 1


def test_a_training_with_all_labels_says_and_notes_nothing(noting):
    noting._train_loop, noting._val_loop = Labels(1, 1, 1, 1), Labels(1, 1, 1, 0)
    begin(noting)
    assert noting._train_loop.records[0] is None
    assert noting._val_loop.records == [None] * 2
    assert "have no label" not in log_of(noting)


def test_a_test_goes_by_its_checkpoint(noting):
    noting._test_loop = Labels(0, 0, 0, 1)
    begin(noting, record=[True, True, False, True])
    assert noting._test_loop.records == [[True, True, False, True]] * 2
    begin(noting)
    assert noting._test_loop.records == [None] * 2


def test_things_without_names_are_no_keypoints(noting):
    noting._train_loop = Labels(1, 0)
    noting._train_loop.dataloader.dataset._metainfo["unnamed"] = True
    begin(noting)
    assert noting._train_loop.records[0] is None
