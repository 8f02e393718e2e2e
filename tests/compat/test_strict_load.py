"""Every way to load weights: all wrappings arrive, all that do not fit are refused."""

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import CosineAnnealingLR
from mmengine.runner import Runner
from mmpose.apis import init_model
from mmpose.registry import MODELS
from torch import nn

from equikpt.compat.strict_load import load_state_dict, load_weights
from equikpt.core.checkpoint_weights import fit_names, versions_of, weights_of
from tests.checkpoints.remap.models import (
    BACKBONE,
    SIDE_PX,
    build,
    heatmap_head,
    model_config,
    rtmcc_head,
)

EMA = dict(type="EMAHook", ema_type="ExpMomentumEMA", update_buffers=True)


def prefixed(state: dict, prefix: str) -> OrderedDict:
    renamed = OrderedDict((prefix + name, value) for name, value in state.items())
    renamed._metadata = OrderedDict(
        (f"{prefix}{name}".removesuffix("."), version)
        for name, version in versions_of(state).items()
    )
    return renamed


def without(state: dict, part: str) -> dict:
    return {name: value for name, value in state.items() if part not in name}


def runner_of(folder: Path, head: dict, *hooks: dict, **options) -> Runner:
    return Runner(
        model=model_config(head),
        work_dir=str(folder),
        default_scope="mmpose",
        custom_hooks=[dict(hook) for hook in hooks],
        experiment_name=folder.name,
        log_level="ERROR",
        **options,
    )


def by_runner(path: Path, folder: Path) -> nn.Module:
    """As ``load_from`` of a training and as a test, with the hook that copies raw names."""
    runner = runner_of(folder, heatmap_head(26), EMA, load_from=str(path))
    runner.call_hook("before_run")
    runner.load_or_resume()
    average = next(h for h in runner.hooks if type(h).__name__ == "EMAHook").ema_model.module
    for name, value in average.state_dict().items():
        torch.testing.assert_close(value, runner.model.state_dict()[name])
    return runner.model


def by_init_model(path: Path, folder: Path) -> nn.Module:
    dataset = dict(type="CocoDataset", metainfo=dict(from_file="configs/_base_/datasets/coco.py"))
    cfg = Config(dict(model=model_config(heatmap_head(26)), train_dataloader=dict(dataset=dataset)))
    return init_model(cfg, str(path), device="cpu")


def by_inferencer(path: Path, folder: Path) -> nn.Module:
    """The way of ``MMPoseInferencer``, which imported MMEngine's functions by name."""
    from mmengine.runner.checkpoint import _load_checkpoint
    from mmpose.apis.inferencers import base_mmpose_inferencer

    model = build(heatmap_head(26), seed=7)
    base_mmpose_inferencer._load_checkpoint_to_model(model, _load_checkpoint(str(path)))
    return model


def by_load_weights(path: Path, folder: Path) -> nn.Module:
    model = build(heatmap_head(26), seed=7)
    load_weights(model, str(path))
    return model


LOADERS = {
    "runner": by_runner,
    "init_model": by_init_model,
    "inferencer": by_inferencer,
    "load_weights": by_load_weights,
}

WRAPPINGS = {
    "as it is": lambda state: {"state_dict": state, "meta": {}},
    "DataParallel": lambda state: {"state_dict": prefixed(state, "module.")},
    "torch.compile": lambda state: {"state_dict": prefixed(state, "_orig_mod.")},
    "both": lambda state: {"state_dict": prefixed(state, "module._orig_mod.")},
    "a part compiled": lambda state: {
        "state_dict": {k.replace("backbone.", "backbone._orig_mod."): v for k, v in state.items()}
    },
    "Lightning": lambda state: {
        "state_dict": {**prefixed(state, "model."), "loss.weight": torch.ones(3)},
        "global_step": 5,
    },
    "Lightning, other name": lambda state: {"state_dict": prefixed(state, "pose.net.")},
    "bare": lambda state: state,
    "bare DataParallel": lambda state: prefixed(state, "module."),
    "model": lambda state: {"model": state, "epoch": 3},
    "model_state_dict": lambda state: {"model_state_dict": dict(state), "loss": 0.5},
    "with a score": lambda state: {"state_dict": state, "best": torch.tensor(0.9)},
    "another key": lambda state: {"module": state, "optimizer": {"state": {}}},
    "average only": lambda state: {"ema_state_dict": prefixed(state, "module.")},
    "no counters": lambda state: {"state_dict": without(state, "num_batches_tracked")},
    "normalisation": lambda state: {
        "state_dict": {**state, "data_preprocessor.mean": torch.zeros(3, 1, 1)}
    },
}

HEAD_17 = build(heatmap_head(17), seed=3).state_dict()

MISFITS = {
    "17 points": (lambda state: {"state_dict": HEAD_17}, "17 channels for 26 keypoints"),
    "no head": (
        lambda state: {"state_dict": without(state, "head.")},
        r"2 missing \(head\.final_layer\.weight.*no whole head.*init_cfg",
    ),
    "backbone alone": (
        lambda state: {k.removeprefix("backbone."): v for k, v in state.items() if "backbone" in k},
        r"unexpected \(conv1\.weight.*a backbone alone.*init_cfg",
    ),
    "one missing": (
        lambda state: {"state_dict": without(state, "backbone.conv1.weight")},
        r"1 missing \(backbone\.conv1\.weight\)",
    ),
    "one more": (
        lambda state: {"state_dict": {**state, "neck.weight": torch.ones(3)}},
        r"1 unexpected \(neck\.weight\)",
    ),
    "another network": (
        lambda state: {"a.weight": torch.ones(3)},
        r"unexpected \(a\.weight\): it is of another network",
    ),
    "two sets": (
        lambda state: {"state_dict": prefixed(state, "a.") | prefixed(state, "b.")},
        r"one set of weights.*named a\.…, b\.…",
    ),
    "one tensor twice": (
        lambda state: {"state_dict": state | prefixed(state, "module.")},
        "is there twice",
    ),
    "nothing": (lambda state: {"meta": {}}, r"one set of weights .*, found meta: save"),
    "two unknown keys": (lambda state: {"a": state, "b": state}, "one set of .*, found a, b"),
}


SOME_WRAPPINGS = ("DataParallel", "Lightning", "bare", "model")
SOME_MISFITS = ("17 points", "no head", "one more")


def each_and_all(cases: dict, some: tuple[str, ...]) -> list:
    """All cases through the runner, some through each other loader."""
    return [
        pytest.param(loader, case, id=f"{loader}, {case}")
        for loader in LOADERS
        for case in cases
        if loader == "runner" or case in some
    ]


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    return build(heatmap_head(26), seed=1)


@pytest.mark.parametrize(("loader", "wrapping"), each_and_all(WRAPPINGS, SOME_WRAPPINGS))
def test_known_wrappings_arrive(trained, tmp_path, loader, wrapping):
    path = tmp_path / "a.pth"
    torch.save(WRAPPINGS[wrapping](trained.state_dict()), path)
    loaded = LOADERS[loader](path, tmp_path / "run").state_dict()
    for name, value in trained.state_dict().items():
        if "num_batches" not in name:
            assert torch.equal(loaded[name], value), name


@pytest.mark.parametrize(("loader", "misfit"), each_and_all(MISFITS, SOME_MISFITS))
def test_weights_that_do_not_fit_are_refused(trained, tmp_path, loader, misfit):
    path = tmp_path / "a.pth"
    spoil, reason = MISFITS[misfit]
    torch.save(spoil(trained.state_dict()), path)
    with pytest.raises(ValueError, match=reason) as caught:
        LOADERS[loader](path, tmp_path / "run")
    assert "\n" not in str(caught.value)


def test_messages_name_the_file_where_it_is_known(tmp_path):
    torch.save({"a.weight": torch.ones(3)}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"a\.pth"):
        by_load_weights(tmp_path / "a.pth", tmp_path)


def test_a_head_for_another_input_size_is_named():
    theirs = build(rtmcc_head(26, side_px=64)).state_dict()
    with pytest.raises(ValueError, match="another input size"):
        load_state_dict(build(rtmcc_head(26, side_px=SIDE_PX)), theirs)


def test_versions_of_classes_follow_their_names(trained):
    state = trained.state_dict()
    for wrapped in (prefixed(state, "module."), prefixed(state, "model.")):
        fitted = fit_names(weights_of({"state_dict": wrapped}), state)
        assert versions_of(fitted) == versions_of(state)


def test_a_model_with_a_wrapper_inside_keeps_its_names():
    model = nn.ModuleDict({"teacher": nn.ModuleDict({"module": nn.Linear(2, 2)})})
    state = nn.ModuleDict({"teacher": nn.Linear(2, 2)}).state_dict()
    for given in (state, model.state_dict()):
        assert set(fit_names(given, model.state_dict())) == set(model.state_dict())


def test_a_model_in_its_parallel_wrapper_is_loaded(trained):
    ours = build(heatmap_head(26), seed=2)
    load_state_dict(nn.DataParallel(ours), trained.state_dict())
    assert torch.equal(ours.state_dict()["head.final_layer.bias"], trained.head.final_layer.bias)


# --- a training that goes on ---


def training_state(state: dict, average: dict | None, **parts) -> dict:
    checkpoint = dict(meta=dict(epoch=1, iter=5), message_hub={}, optimizer={}, state_dict=state)
    if average is not None:
        checkpoint["ema_state_dict"] = {"steps": torch.tensor(4), **average}
    return {**checkpoint, **parts}


def resumed(checkpoint: dict, folder: Path) -> tuple[dict, dict]:
    """Weights and their average after loading, as ``Runner.resume`` begins."""
    torch.save(checkpoint, folder / "epoch_1.pth")
    runner = runner_of(folder / "run", heatmap_head(26), EMA, resume=True)
    runner.call_hook("before_run")
    runner.load_checkpoint(str(folder / "epoch_1.pth"))
    hook = next(h for h in runner.hooks if type(h).__name__ == "EMAHook")
    return runner.model.state_dict(), hook.ema_model.module.state_dict()


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
def test_a_resumed_training_gets_weights_and_their_average(trained, tmp_path, prefix):
    average, last = trained.state_dict(), build(heatmap_head(26), seed=2).state_dict()
    checkpoint = training_state(  # MMEngine saves the two exchanged
        prefixed(average, prefix), prefixed(last, f"module.{prefix}")
    )
    weights, averages = resumed(checkpoint, tmp_path)
    for name in last:
        assert torch.equal(weights[name], last[name])
        assert torch.equal(averages[name], average[name])


def test_a_training_goes_on_from_no_half_checkpoint(trained, tmp_path):
    state = trained.state_dict()
    with pytest.raises(ValueError, match="message_hub"):
        resumed(state, tmp_path)
    average = prefixed(without(state, "backbone.conv1"), "module.")
    with pytest.raises(ValueError, match=r"backbone\.conv1\.weight"):
        resumed(training_state(state, average), tmp_path)


@pytest.fixture
def resuming(trained, tmp_path):
    """A function that loads a checkpoint with ``parts`` into a resumed run with ``attributes``."""

    def load(parts: dict, **attributes) -> None:
        torch.save(training_state(trained.state_dict(), None, **parts), tmp_path / "epoch_1.pth")
        runner = runner_of(tmp_path / "run", heatmap_head(26), resume=True)
        for name, value in attributes.items():
            setattr(runner, name, value)
        runner.load_checkpoint(str(tmp_path / "epoch_1.pth"))

    return load


def test_a_training_goes_on_with_the_optimizer_it_had(trained, resuming):
    parameters = list(trained.parameters())
    all_of_them, but_one = (torch.optim.SGD(each, lr=0.1) for each in (parameters, parameters[1:]))
    saved, count = dict(optimizer=but_one.state_dict()), len(parameters)
    resuming(saved, optim_wrapper=but_one)
    with pytest.raises(ValueError, match=rf"{count} tensors in 1 .* found {count - 1} in 1:"):
        resuming(saved, optim_wrapper=all_of_them)


def test_a_training_goes_on_by_the_schedule_it_had(trained, resuming):
    def schedule(end: int) -> list:
        optimizer = torch.optim.SGD(trained.parameters(), lr=0.1)
        return [CosineAnnealingLR(optimizer, T_max=end, begin=0, end=end)]

    saved = dict(param_schedulers=[each.state_dict() for each in schedule(10)])
    resuming(saved, param_schedulers=schedule(10))
    with pytest.raises(ValueError, match=r"CosineAnnealingLR\.end"):
        resuming(saved, param_schedulers=schedule(20))


# --- pretrained initialisation ---


def start_backbone(path: Path, **options) -> nn.Module:
    init = dict(type="Pretrained", checkpoint=str(path), **options)
    backbone = MODELS.build({**BACKBONE, "init_cfg": init})
    backbone.init_weights()
    return backbone


@pytest.mark.parametrize("prefix", [None, "backbone.", "backbone"])
@pytest.mark.parametrize("wrapper", ["", "module."])
def test_a_backbone_starts_from_a_part_of_a_file(trained, tmp_path, prefix, wrapper):
    theirs = trained.backbone.state_dict()
    name = "" if prefix is None else "backbone."
    torch.save(
        {"state_dict": {**prefixed(theirs, wrapper + name), "fc.weight": torch.ones(3)}},
        tmp_path / "a.pth",
    )
    ours = start_backbone(tmp_path / "a.pth", prefix=prefix).state_dict()
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


@pytest.mark.parametrize(
    ("options", "width", "reason"),
    [
        (dict(), None, r"found 0 of them .*init_cfg\.prefix"),
        (dict(prefix="neck."), None, r"tensors named neck\.….*found backbone, head"),
        (dict(prefix="backbone."), 16, r"found \d of them .*misshapen"),
    ],
    ids=["no prefix", "wrong prefix", "another width"],
)
def test_pretrained_weights_of_something_else_are_refused(
    trained, tmp_path, options, width, reason
):
    state = trained.state_dict()
    if width:
        wide = MODELS.build({**BACKBONE, "base_channels": width, "stem_channels": width})
        state = prefixed(wide.state_dict(), "backbone.")
    torch.save({"state_dict": state}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=reason):
        start_backbone(tmp_path / "a.pth", **options)


def test_a_part_that_is_nearly_whole_is_said_and_taken(trained, tmp_path, capfd):
    state = trained.backbone.state_dict()
    kept = state.pop("conv1.weight")
    torch.save(state, tmp_path / "a.pth")
    ours = start_backbone(tmp_path / "a.pth").state_dict()
    assert not torch.equal(ours["conv1.weight"], kept)
    assert torch.equal(ours["layer1.0.conv1.weight"], state["layer1.0.conv1.weight"])
    assert "1 missing (conv1.weight)" in capfd.readouterr().out
