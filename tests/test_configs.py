"""Contracts that every file in configs/ keeps."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.utils import mkdir_or_exist
from mmpose.registry import HOOKS

from equikpt.checkpoints.zoo import find
from equikpt.cli import launch
from equikpt.config_checks import load_config
from equikpt.config_checks.keys import check_config
from equikpt.engine.amp import enable_amp
from equikpt.engine.stages import start_from_scratch
from equikpt.engine.weight_hooks import StartHook
from equikpt.metainfo.correspondence import KEYPOINT_NAMES

ROOT = Path(__file__).resolve().parent.parent / "configs"
LEAVES = sorted(
    str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py") if "_base_" not in path.parts
)
SMOKE = [leaf for leaf in LEAVES if "smoke/" in leaf]
LARGE = ("td-hm_hrnet-w18_p1p2-768x768.py",)
"""Of which a step takes 20 seconds; its smoke config takes one by default."""


def is_ruler(leaf: str) -> bool:
    return "p1p2" in leaf


def drawn_data(leaf: str) -> str:
    """Name of the fixture with data that a config can read."""
    fixtures = {"p1p2": "sample_radiographs", "coco": "sample_people", "fsc147": "sample_points"}
    return next((name for word, name in fixtures.items() if word in leaf), "sample_data")


def load(leaf: str) -> Config:
    return Config.fromfile(ROOT / leaf)


@pytest.fixture
def make_runner(request, tmp_path):
    """A runner of a config on drawn horses or radiographs, batch 2, in this process."""

    def make(leaf: str, amp: bool = False, **changes) -> Runner:
        cfg = load(leaf)
        cfg.work_dir = str(tmp_path / "work")
        mkdir_or_exist(cfg.work_dir)
        launch.set_data_root(cfg, str(request.getfixturevalue(drawn_data(leaf))))
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            loader.update(batch_size=2, num_workers=0)
        cfg.visualizer.vis_backends = []
        cfg.merge_from_dict(changes)
        if amp:
            enable_amp(cfg)
        return Runner.from_cfg(cfg)

    return make


def test_there_are_configs():
    assert len(LEAVES) >= 6
    full = [Path(leaf) for leaf in LEAVES if leaf not in SMOKE]
    assert sorted(str(leaf.parent / "smoke" / leaf.name) for leaf in full) == sorted(SMOKE)


@pytest.mark.parametrize("leaf", LEAVES)
def test_dumps_and_reloads_equal(leaf, tmp_path):
    cfg = load(leaf)
    cfg.dump(tmp_path / "dumped.py")
    assert Config.fromfile(tmp_path / "dumped.py").to_dict() == cfg.to_dict()


@pytest.mark.parametrize("leaf", LEAVES)
def test_is_short_and_says_how_to_run_it(leaf):
    text = (ROOT / leaf).read_text()
    assert text.count("\n") <= 65
    header = text.split('"""')[1]
    assert leaf.removesuffix(".py") in re.search(r"Command: +(.*)", header).group(1)
    assert re.search(r"Hardware: +\S", header)


@pytest.mark.parametrize(
    ("leaf", "amp"),
    [
        *(pytest.param(leaf, True, marks=[pytest.mark.slow] * (leaf in LARGE)) for leaf in LEAVES),
        *((leaf, False) for leaf in SMOKE),
    ],
    ids=lambda value: {True: "amp", False: "float32"}.get(value, value),
)
def test_trains_one_step(make_runner, leaf, amp):
    runner = make_runner(leaf, amp)
    loop = runner.build_train_loop(runner._train_loop)
    optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.model.train()
    batch = next(iter(loop.dataloader))
    before = {name: p.detach().clone() for name, p in runner.model.named_parameters()}
    losses = runner.model.train_step(batch, optim_wrapper)
    assert torch.isfinite(losses["loss"])
    parameters = dict(runner.model.named_parameters())
    unmoved = {name for name, p in parameters.items() if torch.equal(p, before[name])}
    frozen = {name for name, p in parameters.items() if not p.requires_grad}
    assert unmoved == frozen, "these parameters got no gradient or no rate, or moved though frozen"


@pytest.mark.parametrize("leaf", LEAVES)
def test_no_hook_is_lost(leaf):
    """A list in a leaf replaces the inherited one: the hooks of the runtime must all be there."""
    runtime = Config.fromfile(ROOT / "_base_/runtime.py")
    hooks = {hook.type for hook in load(leaf).custom_hooks}
    assert hooks >= {hook.type for hook in runtime.custom_hooks}


@pytest.mark.parametrize(
    "leaf", ["smoke/rtmpose_m_ap10k.py", "smoke/td-hm_litehrnet_coco-256x192.py"]
)
@pytest.mark.parametrize("batch_size", [4, 64])
def test_auto_scale_lr_scales_the_whole_schedule(make_runner, leaf, batch_size):
    """From the first warm-up step to the end, the rate is the batch's multiple of the config's.

    That every schedule is relative to it is shown in test_schedule.py.
    """
    cfg = load(leaf)
    factor = batch_size / cfg.train_dataloader.batch_size
    plain, scaled = (
        lowest_and_peak_rate(
            make_runner(
                leaf,
                **{"auto_scale_lr.enable": enable, "train_dataloader.batch_size": batch_size},
            )
        )
        for enable in (False, True)
    )
    assert scaled == pytest.approx([rate * factor for rate in plain])


def lowest_and_peak_rate(runner: Runner) -> list[float]:
    loop = runner.build_train_loop(runner._train_loop)
    runner._train_loop = loop
    optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.optim_wrapper = optim_wrapper
    runner.scale_lr(optim_wrapper, runner.auto_scale_lr)
    schedulers = runner.build_param_scheduler(runner.param_schedulers)
    rates = []
    for iteration in range(loop.max_iters):
        rates.append(optim_wrapper.get_lr()["lr"][0])
        optim_wrapper.optimizer.step()
        for scheduler in schedulers:
            if not scheduler.by_epoch or (iteration + 1) % len(loop.dataloader) == 0:
                scheduler.step()
    return [rates[0], max(rates), rates[-1]]


@pytest.mark.parametrize("leaf", SMOKE)
def test_an_untrained_model_finds_next_to_nothing(make_runner, leaf):
    metrics = make_runner(leaf).test()
    assert 0 < metrics["test_loss"] < float("inf"), "validation has a loss"
    if is_ruler(leaf):
        assert metrics["landmark/failures"] == metrics["landmark/radiographs"]
    elif "pixel/AP" in metrics:
        assert metrics["pixel/AP"] < 0.05
    elif "pointing/F1" in metrics:
        assert metrics["pointing/F1"] < 0.6  # of few large dots on nothing, chance finds some
    else:
        assert metrics["coco/AP"] < 0.05
        assert metrics["keypoint/PCK@0.05"] < 0.3


FROM_RANDOM = ["experimental/hm_litehrnet_coco-whole-256x256.py"]
"""Networks for which nobody has published weights."""


@pytest.mark.parametrize("leaf", LEAVES)
def test_each_config_starts_from_weights_but_the_small_twins(leaf):
    cfg = load(leaf)
    lite0 = "efficientnet_lite0" in str(cfg.model.backbone.get("model_name"))
    assert bool(cfg.model.backbone.get("weights")) is lite0
    released = cfg.get("load_from")
    assert bool(released) is not (lite0 or leaf in SMOKE or leaf in FROM_RANDOM)
    if released:
        find(released.removeprefix("zoo://"))
        assert any(issubclass(HOOKS.get(h.type), StartHook) for h in cfg.default_hooks.values())


STARTING = [leaf for leaf in LEAVES if leaf not in FROM_RANDOM and load(leaf).get("load_from")]


@pytest.mark.parametrize("leaf", [*STARTING, "td-hm_efficientnet-lite0_horse26-192x192.py"])
def test_from_scratch_nothing_is_frozen_and_nothing_has_a_rate_of_its_own(leaf):
    cfg = load_config(ROOT / leaf)
    assert start_from_scratch(cfg)
    check_config(cfg)
    assert not cfg.get("load_from")
    assert not cfg.model.backbone.get("weights")
    assert cfg.model.backbone.get("frozen_stages", -1) == -1
    assert set(cfg.optim_wrapper.paramwise_cfg) <= {"norm_decay_mult", "bias_decay_mult"}
    assert "StageUnfreezeHook" not in [hook.type for hook in cfg.default_hooks.values()]
    with pytest.raises(ValueError, match="anyway"):
        start_from_scratch(cfg)


@pytest.mark.parametrize(
    "leaf",
    [
        *("rtmpose_m_ap10k.py", "hrnet_w32_animalpose.py"),
        *("td-hm_hrnet-w18_p1p2-refine-192x192.py", "td-hm_litehrnet_coco-256x192.py"),
    ],
)
def test_published_weights_fit(leaf):
    """By names and shapes: the network as published, its head for the published keypoints."""
    cfg = load(leaf)
    row = find(cfg.load_from.removeprefix("zoo://"))
    model = launch.build_model(cfg)
    if row.keypoints in KEYPOINT_NAMES:
        cfg.model.head.out_channels = len(KEYPOINT_NAMES[row.keypoints])
    state = launch.build_model(cfg).state_dict()
    if not row.keypoints:  # a classifier of ImageNet: the backbone under its own names, and more
        state = {n.removeprefix("backbone."): v for n, v in state.items() if "backbone." in n}
        state["classifier.weight"] = torch.zeros(1000, 2048)
    if row.name.startswith("litehrnet"):
        assert state["head.final_layer.weight"].shape == (17, 40, 1, 1)
    (hook,) = [h for h in cfg.default_hooks.values() if issubclass(HOOKS.get(h.type), StartHook)]
    fitted, rows = HOOKS.build(hook).fit({"state_dict": state}, model)
    assert fitted.keys() == model.state_dict().keys()
    outcomes = {r.outcome for r in rows if r.name.startswith("backbone.")}
    assert outcomes == {"loaded"}
    model.load_state_dict(fitted)
