"""Two processes on a machine without GPUs, started as users start them; stages that release."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
import torch

from equikpt.compat.safe_load import load_from_local
from tests.conftest import REPO
from tests.integration.conftest import logged_rows

EXACT = """
_base_ = "{base}"
custom_imports = dict(
    imports=["equikpt.register", "rank_dump"], allow_failed_imports=False
)
custom_hooks = [dict(type="EpochSeedHook"), dict(type="RankDumpHook")]
# The mean over two halves is the mean over the whole only without batch statistics, without
# random augmentation, and with a loss that is a mean over the batch.
model = dict(backbone=dict(norm_eval=True))
sgd = dict(_delete_=True, type="SGD", lr=0.05, weight_decay=0.0)
optim_wrapper = dict(optimizer=sgd, clip_grad=None)
train_pipeline = [
    *_base_.val_geometry,
    dict(type="TopdownAffine", input_size=(128, 128)),
    dict(type="GenerateTarget", encoder=_base_.codec),
    dict(type="PackPoseInputs"),
]
train_dataloader = dict(num_workers=0, dataset=dict(_delete_=True, pipeline=train_pipeline,
    type="Horse26Dataset", data_root="{data}", data_mode="topdown",
    ann_file="annotations/train.json", data_prefix=dict(img="images/train/")))
train_cfg = dict(max_epochs=2)
val_cfg = val_dataloader = val_evaluator = None
default_hooks = dict(checkpoint=dict(save_best=None, interval=1))
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory, sample_data):
    path = tmp_path_factory.mktemp("ddp") / "exact.py"
    base = REPO / "configs/smoke/hrnet_w32_ap10k.py"
    path.write_text(EXACT.format(base=base, data=f"{sample_data}/"))
    return path


def run(command, work_dir, batch_size: int) -> None:
    done = subprocess.run(
        [
            *map(str, command),
            *("--work-dir", str(work_dir), "--no-validate"),
            *("--cfg-options", f"train_dataloader.batch_size={batch_size}"),
        ],
        env={
            **os.environ,
            "PYTHONPATH": f"{REPO / 'tests/integration'}:{REPO}:{os.environ.get('PYTHONPATH', '')}",
            "OMP_NUM_THREADS": "1",
            "PYTHON": sys.executable,
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_two_processes_equal_one_with_twice_the_batch(config, tmp_path):
    run([REPO / "tools/dist_train.sh", config, 2], tmp_path / "two", batch_size=2)
    run([sys.executable, REPO / "tools/train.py", config], tmp_path / "one", batch_size=4)
    first, second = (torch.load(tmp_path / f"two/rank_{rank}.pth") for rank in (0, 1))
    alone = torch.load(tmp_path / "one/rank_0.pth")
    for name, value in first.items():
        assert torch.equal(value, second[name]), f"{name} differs between the ranks"
        torch.testing.assert_close(value, alone[name], rtol=1e-4, atol=1e-6, msg=name)
    halfway = load_from_local(tmp_path / "one/epoch_1.pth")["state_dict"]
    floats = [name for name, value in alone.items() if value.is_floating_point()]
    assert [name for name in floats if not torch.equal(alone[name], halfway[name])]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [([], "expected CONFIG"), (["c.py"], "number of processes"), (["c.py", "x"], "got 'x'")],
    ids=["nothing", "no number", "not a number"],
)
def test_dist_train_says_what_it_misses(arguments, words):
    done = subprocess.run(
        [REPO / "tools/dist_train.sh", *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert words in done.stderr


PHASES = """
frozen = [dict(name="head", begin=0, frozen_stages=3),
          dict(name="middle", begin=1, frozen_stages=2),
          dict(name="all but early", begin=2, frozen_stages=1)]
model = dict(backbone=dict(frozen_stages=3, norm_eval={norm_eval}))
optim_wrapper = dict(
    constructor="LayerwiseLrConstructor",
    paramwise_cfg=dict(
        _delete_=True, module_lr_mult=dict(backbone=0.1), frozen_stages=1, frozen_at_start=3
    ),
)
train_cfg = dict(max_epochs=3)
default_hooks = dict(
    phases=dict(type="StageUnfreezeHook", phases=frozen, random_weights=True),
    rates=dict(type="GroupRatesHook"),
    checkpoint=dict(interval=1, max_keep_ckpts=-1), logger=dict(interval=1),
)
custom_hooks = [dict(type="EpochSeedHook"), dict(type="SyncBuffersHook"),
                dict(type="EMAHook", ema_type="ExpMomentumEMA", momentum=2e-4, update_buffers=True),
                dict(type="RankDumpHook")]
"""


@pytest.fixture(scope="module")
def phases(config, tmp_path_factory):
    """A function from ``norm_eval`` to a config with three phases of one epoch."""
    folder = tmp_path_factory.mktemp("phases")

    def write(norm_eval: bool):
        path = folder / f"phases_{norm_eval}.py"
        path.write_text(f'_base_ = "{config}"\n' + PHASES.format(norm_eval=norm_eval))
        return path

    return write


def stage_of(name: str) -> str:
    parts = name.split(".")
    return "head" if parts[0] == "head" else parts[1].replace("transition", "stage")


def weights(work_dir, epoch: int) -> dict:
    """What trained, not its running mean, which stands under ``state_dict`` in checkpoints."""
    ema = load_from_local(work_dir / f"epoch_{epoch}.pth")["ema_state_dict"]
    return {name.removeprefix("module."): t for name, t in ema.items() if name != "steps"}


def moved(before: dict, after: dict) -> set[str]:
    return {stage_of(name) for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.slow
def test_two_processes_release_stages_and_resume(phases, tmp_path):
    two = [REPO / "tools/dist_train.sh", phases(norm_eval=False), 2]
    run(two, tmp_path / "whole", batch_size=2)

    first, second = (torch.load(tmp_path / f"whole/rank_{rank}.pth") for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    by_epoch = {epoch: weights(tmp_path / "whole", epoch) for epoch in (1, 2, 3)}
    late = {"stage4", "head"}
    assert moved(by_epoch[1], by_epoch[2]) == {"stage3", *late}
    assert moved(by_epoch[2], by_epoch[3]) == {"stage2", "stage3", *late}
    # bit for bit, statistics included
    early = [name for name in first if stage_of(name) in ("conv1", "bn1", "conv2", "bn2", "layer1")]
    assert any("running_mean" in name for name in early)
    assert all(torch.equal(by_epoch[1][name], first[name]) for name in early)

    rows = logged_rows(tmp_path / "whole")
    assert sorted({row["phase"] for row in rows}) == [1, 2, 3]
    assert rows[-1]["lr_head"] == pytest.approx(10 * rows[-1]["lr_backbone"])

    # the second phase has ended, or is about to begin
    for epoch in (1, 2):
        part = tmp_path / f"resumed_{epoch}"
        part.mkdir()
        shutil.copy(tmp_path / f"whole/epoch_{epoch}.pth", part)
        run([*two, "--resume", part / f"epoch_{epoch}.pth"], part, batch_size=2)
        resumed = torch.load(part / "rank_0.pth")
        for name, value in first.items():
            torch.testing.assert_close(resumed[name], value, rtol=0, atol=1e-6, msg=name)


@pytest.mark.slow
def test_two_processes_that_release_stages_equal_one_with_twice_the_batch(phases, tmp_path):
    """Every release wraps the model anew, and the gradients are still the mean of both ranks."""
    exact = phases(norm_eval=True)
    run([REPO / "tools/dist_train.sh", exact, 2], tmp_path / "two", batch_size=2)
    run([sys.executable, REPO / "tools/train.py", exact], tmp_path / "one", batch_size=4)
    two, one = (torch.load(tmp_path / f"{which}/rank_0.pth") for which in ("two", "one"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-6, msg=name)
    assert moved(weights(tmp_path / "one", 1), one) == {"stage2", "stage3", "stage4", "head"}
