"""Two processes that release stages while they train."""

import shutil
import sys

import pytest
import torch

from equikpt.compat.safe_load import load_from_local
from tests.conftest import REPO
from tests.integration.conftest import logged_rows
from tests.integration.two_processes import run, write_config

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
def phases(sample_data, tmp_path_factory):
    """A function from ``norm_eval`` to a config with three phases of one epoch."""
    folder = tmp_path_factory.mktemp("phases")
    config = write_config(folder, sample_data)

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
