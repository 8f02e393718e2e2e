from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.runner import BaseLoop, Runner

from equikpt.checkpoints import zoo
from equikpt.engine.weight_hooks import RemapCheckpointHook
from equikpt.metainfo.correspondence import index_pairs
from tests.checkpoints.remap.models import build, heatmap_head, model_config

HOOK = dict(type="RemapCheckpointHook", source="ap10k")
EMA = dict(type="EMAHook", ema_type="ExpMomentumEMA", update_buffers=True, priority="ABOVE_NORMAL")


def make_runner(work_dir, *hooks, **options):
    return Runner(
        model=model_config(heatmap_head(26)),
        work_dir=str(work_dir),
        default_scope="mmpose",
        custom_hooks=[dict(hook) for hook in hooks],
        experiment_name=work_dir.name,
        **options,
    )


def start(runner):
    """What ``Runner.train`` does before its first iteration."""
    runner.call_hook("before_run")
    runner._init_model_weights()
    runner.load_or_resume()
    return runner


def log_of(runner) -> str:
    return "\n".join(path.read_text() for path in Path(runner.work_dir).rglob("*.log"))


class Loop(BaseLoop):
    def __init__(self, points: int) -> None:
        metainfo = dict(num_keypoints=points, keypoint_id2name={0: "nose"})
        self._dataloader = SimpleNamespace(dataset=SimpleNamespace(metainfo=metainfo))

    @property
    def dataloader(self):
        return self._dataloader

    def run(self):
        """Only its data set counts."""


@pytest.fixture
def theirs():
    return build(heatmap_head(17), seed=1)


@pytest.fixture
def checkpoint(theirs, tmp_path):
    path = tmp_path / "ap10k.pth"
    torch.save({"state_dict": theirs.state_dict(), "meta": {}}, path)
    return str(path)


def is_remapped(model, theirs) -> bool:
    a, b = index_pairs("ap10k")
    ours, theirs = model.state_dict(), theirs.state_dict()
    return all(
        torch.equal(ours[name][b], theirs[name][a])
        if name.startswith("head.final_layer.")
        else torch.equal(ours[name], theirs[name])
        for name in ours
    )


def test_load_from_takes_a_checkpoint_of_other_points(theirs, checkpoint, tmp_path, capfd):
    # registered first, the EMA hook would load the checkpoint as it was
    runner = start(make_runner(tmp_path / "run", EMA, HOOK, load_from=checkpoint))
    assert is_remapped(runner.model, theirs)
    averaged = next(h for h in runner.hooks if type(h).__name__ == "EMAHook").ema_model.module
    assert is_remapped(averaged, theirs)
    log = log_of(runner)
    for name in runner.model.state_dict():
        assert f" {name} (" in log
    assert "remapped  head.final_layer.weight (26, 8, 1, 1): nose = Nose, " in log
    assert "mean of these: l_ear, r_ear, withers" in log
    assert "do not match" not in capfd.readouterr().out  # MMEngine's complaint about the rest


def test_without_the_hook_the_head_is_not_lost_in_silence(checkpoint, tmp_path):
    with pytest.raises(ValueError, match=r"17 channels for 26 keypoints.*RemapCheckpointHook"):
        start(make_runner(tmp_path / "run", EMA, load_from=checkpoint))


@pytest.mark.parametrize("loop", ["_test_loop", "_val_loop"])
def test_what_is_tested_is_not_remapped(checkpoint, tmp_path, loop):
    runner = make_runner(tmp_path / "run", HOOK, load_from=checkpoint)
    setattr(runner, loop, Loop(26))
    with pytest.raises(ValueError, match="17 channels for 26 keypoints"):
        runner.load_or_resume()


def test_a_checkpoint_of_the_same_points_loads_as_it_is(tmp_path):
    trained = build(heatmap_head(26), seed=4)
    torch.save({"state_dict": trained.state_dict()}, tmp_path / "horse26.pth")
    path = str(tmp_path / "horse26.pth")
    runner = start(make_runner(tmp_path / "run", HOOK, load_from=path))
    ours = runner.model.state_dict()
    assert all(torch.equal(ours[name], value) for name, value in trained.state_dict().items())
    assert f"all {len(ours)} tensors loaded" in log_of(runner)


def test_a_resumed_run_is_left_alone(theirs, tmp_path):
    runner = make_runner(tmp_path / "run", HOOK, resume=True)
    checkpoint = {"state_dict": theirs.state_dict()}
    runner.call_hook("after_load_checkpoint", checkpoint=checkpoint)
    assert checkpoint["state_dict"]["head.final_layer.bias"].shape == (17,)


@pytest.mark.parametrize("allow_missing", [(), ("backbone.conv1.*",)], ids=["refused", "allowed"])
def test_a_backbone_that_does_not_fit(theirs, tmp_path, allow_missing):
    state = theirs.state_dict()
    state["backbone.conv1.weight"] = torch.zeros(8, 3, 5, 5)
    path = tmp_path / "odd.pth"
    torch.save({"state_dict": state}, path)
    hook = dict(HOOK, allow_missing=allow_missing)
    runner = make_runner(tmp_path / "run", hook, load_from=str(path))
    if not allow_missing:
        with pytest.raises(
            ValueError, match=r"1 of its \d+ tensors do not load: backbone\.conv1\.weight"
        ):
            start(runner)
        return
    start(runner)
    assert "initialised  backbone.conv1.weight (8, 3, 7, 7): (8, 3, 5, 5)" in log_of(runner)
    assert runner.model.state_dict()["backbone.conv1.weight"].abs().sum() > 0


# --- where the weights come from ---


BACKBONE_HOOK = dict(type="BackboneCheckpointHook")


@pytest.mark.parametrize("prefix", ["", "backbone.", "module.encoder."])
def test_a_backbone_alone(tmp_path, theirs, prefix):
    state = {prefix + name: value for name, value in theirs.backbone.state_dict().items()}
    state["fc.weight"] = torch.zeros(1000, 8)
    torch.save({"state_dict": state}, tmp_path / "imagenet.pth")
    runner = make_runner(tmp_path / "run", BACKBONE_HOOK, load_from=str(tmp_path / "imagenet.pth"))
    runner.call_hook("before_run")
    head = {name: value.clone() for name, value in runner.model.head.state_dict().items()}
    runner.load_or_resume()
    for name, value in theirs.backbone.state_dict().items():
        assert torch.equal(runner.model.backbone.state_dict()[name], value), name
    assert all(torch.equal(runner.model.head.state_dict()[n], v) for n, v in head.items())
    assert "initialised, " in log_of(runner)


def test_a_backbone_of_another_width(tmp_path, theirs):
    state = theirs.backbone.state_dict()
    state["conv1.weight"] = torch.zeros(9, 3, 7, 7)
    del state["bn1.bias"]
    torch.save({"state_dict": state}, tmp_path / "imagenet.pth")
    runner = make_runner(tmp_path / "run", BACKBONE_HOOK, load_from=str(tmp_path / "imagenet.pth"))
    with pytest.raises(ValueError, match=r"2 do not fit: conv1\.weight \(\(9.*bn1\.bias \(not"):
        start(runner)


@pytest.mark.parametrize("hook", [HOOK, BACKBONE_HOOK], ids=["remap", "backbone"])
@pytest.mark.parametrize("resume", [False, True], ids=["start", "nothing to resume"])
def test_random_weights_are_no_accident(tmp_path, hook, resume):
    with pytest.raises(ValueError, match="--from-scratch"):
        start(make_runner(tmp_path / "run", hook, resume=resume))
    runner = start(make_runner(tmp_path / "on", dict(hook, random_weights=True), resume=resume))
    assert "starts from random weights" in log_of(runner)


@pytest.mark.parametrize("loop", ["_test_loop", "_val_loop"])
def test_what_is_tested_needs_no_weights_to_start_from(tmp_path, loop):
    runner = make_runner(tmp_path / "run", HOOK)
    setattr(runner, loop, Loop(26))
    runner.call_hook("before_run")


def test_released_weights_by_name(theirs, checkpoint, tmp_path, monkeypatch):
    """From the folder of the environment, where the file has the sum that was accepted."""
    row = zoo.find("hrnet_w32_animalpose")
    content = Path(checkpoint).read_bytes()
    (tmp_path / row.file_name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / f"{row.file_name}.sha256").write_text(digest)
    monkeypatch.setenv("EQUIKPT_CHECKPOINTS", str(tmp_path))
    runner = start(make_runner(tmp_path / "run", HOOK, load_from=f"zoo://{row.name}"))
    assert is_remapped(runner.model, theirs)
    (tmp_path / row.file_name).write_bytes(content[:-1])
    with pytest.raises(FileExistsError, match=digest):
        start(make_runner(tmp_path / "other", HOOK, load_from=f"zoo://{row.name}"))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (dict(source="coco"), ValueError),
        (dict(source="ap10k", target="horse27"), ValueError),
        (dict(source="ap10k", allow_missing="head.*"), TypeError),
    ],
    ids=["source", "target", "patterns"],
)
def test_a_wrong_option_is_seen_when_the_hook_is_built(options, error):
    with pytest.raises(error):
        RemapCheckpointHook(**options)
