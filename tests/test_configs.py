"""Contracts that every file in configs/ keeps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.utils import mkdir_or_exist

from equikpt.cli import launch
from equikpt.engine.amp import enable_amp

ROOT = Path(__file__).resolve().parent.parent / "configs"
LEAVES = sorted(
    str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py") if "_base_" not in path.parts
)
SMOKE = [leaf for leaf in LEAVES if "smoke/" in leaf]


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
    [*((leaf, True) for leaf in LEAVES), *((leaf, False) for leaf in SMOKE)],
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


@pytest.mark.parametrize("leaf", LEAVES)
def test_what_the_readme_says_of_first_weights(leaf):
    """Those of EfficientNet-Lite0 alone take their weights by themselves."""
    cfg = load(leaf)
    lite0 = "efficientnet_lite0" in str(cfg.model.backbone.get("model_name"))
    own = bool(cfg.model.backbone.get("weights") or cfg.model.backbone.get("init_cfg"))
    assert own is lite0
    assert cfg.get("load_from") is None
