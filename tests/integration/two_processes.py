"""Trainings by one and by two processes whose results are equal, started as users start them."""

import os
import subprocess
import sys
from pathlib import Path

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


ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": f"{REPO / 'tests/integration'}:{REPO}:{os.environ.get('PYTHONPATH', '')}",
    "OMP_NUM_THREADS": "1",
    "PYTHON": sys.executable,
}
"""Variables that the scripts for several processes are started with."""


def write_config(folder: Path, data_root: Path) -> Path:
    """Write a config of which two processes make the same model as one."""
    base = REPO / "configs/smoke/hrnet_w32_ap10k.py"
    path = folder / "exact.py"
    path.write_text(EXACT.format(base=base, data=f"{data_root}/"))
    return path


def run(command, work_dir, batch_size: int) -> None:
    done = subprocess.run(
        [
            *map(str, command),
            *("--work-dir", str(work_dir), "--no-validate"),
            *("--cfg-options", f"train_dataloader.batch_size={batch_size}"),
        ],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
