"""Two processes on a machine without GPUs, started as users start them."""

import subprocess
import sys

import pytest
import torch

from equikpt.compat.safe_load import load_from_local
from tests.conftest import REPO
from tests.integration.two_processes import run, write_config


def test_two_processes_equal_one_with_twice_the_batch(sample_data, tmp_path):
    config = write_config(tmp_path, sample_data)
    run([REPO / "tools/dist_train.sh", config, 2], tmp_path / "two", batch_size=2)
    run([sys.executable, REPO / "tools/train.py", config], tmp_path / "one", batch_size=4)
    first, second = (torch.load(tmp_path / f"two/rank_{rank}.pth") for rank in (0, 1))
    alone = torch.load(tmp_path / "one/rank_0.pth")
    for work_dir in ("one", "two"):
        assert (tmp_path / work_dir / "last.pth").resolve().name == "epoch_2.pth"
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
