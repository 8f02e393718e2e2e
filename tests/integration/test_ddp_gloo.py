"""Two processes on a machine without GPUs, started as users start them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from equikpt.compat.safe_load import load_from_local
from tests.conftest import REPO

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
