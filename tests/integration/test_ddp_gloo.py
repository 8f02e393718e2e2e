"""Two processes on a machine without GPUs, started as users start them."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

from equikpt.cli.commands import test as test_command
from equikpt.compat.safe_load import load_from_local
from equikpt.structures import Uncertainty, record_uncertainty
from tests.conftest import REPO
from tests.integration.conftest import logged_rows
from tests.integration.two_processes import ENVIRONMENT, run, write_config
from tests.random_models import random_checkpoint


@pytest.mark.slow
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


@pytest.mark.slow
def test_results_of_every_process_have_their_radii_and_probabilities(sample_data, tmp_path):
    """Two processes write of each instance what one writes."""
    config = "smoke/rtmpose_m_ap10k"
    content = torch.load(random_checkpoint(config, tmp_path), weights_only=True)
    fit = Uncertainty(
        *(np.array([0.5, 0.99]), np.full((26, 2), 2.0), 1.0),
        *(np.array([0.0, 1.0]), np.array([0.25, 0.5])),  # scores as drawn are above 1
    )
    record_uncertainty(content, fit)
    torch.save(content, tmp_path / "fitted.pth")
    common = ["--data-root", str(sample_data), "--work-dir", str(tmp_path)]
    options = ["--cfg-options", "test_dataloader.num_workers=0"]
    outs = [tmp_path / f"{processes}.json" for processes in (1, 2)]
    one = [config, str(tmp_path / "fitted.pth"), *common, "--out", str(outs[0]), *options]
    assert test_command.main(one) == 0
    two = [config, tmp_path / "fitted.pth", 2, *common, "--out", outs[1], *options]
    command = list(map(str, [REPO / "tools/dist_test.sh", *two]))
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    alone, dealt = (
        {(row["image_id"], *row["bbox"]): row for row in json.loads(path.read_bytes())}
        for path in outs
    )
    assert alone.keys() == dealt.keys()
    assert len({image for image, *_ in dealt}) == 4  # two a process
    for key, row in dealt.items():
        assert min(row["keypoint_radius"]) > 0
        assert all(0.25 <= score <= 0.5 for score in row["keypoints"][2::3])
        for name in ("keypoint_radius", "keypoints"):
            np.testing.assert_allclose(row[name], alone[key][name], rtol=1e-3, atol=1e-3)


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


UNLABELLED = """
_base_ = "{base}"
custom_imports = dict(
    imports=["equikpt.register", "rank_dump"], allow_failed_imports=False
)
custom_hooks = [
    dict(type="EpochSeedHook"),
    dict(type="EMAHook", ema_type="ExpMomentumEMA", update_buffers=True, priority="ABOVE_NORMAL"),
    dict(type="RankDumpHook"),
]
train_dataloader = dict(num_workers=0)
train_cfg = dict(max_epochs=2)
default_hooks = dict(
    checkpoint=dict(save_best=None, interval=1),
    unlabelled=dict(begin=0.0, end=0.1, min_confidence=0.0, batch_size=2),
)
"""


@pytest.mark.slow
def test_two_processes_learn_from_unlabelled_images_and_stay_equal(sample_data, tmp_path):
    config = tmp_path / "unlabelled.py"
    base = REPO / "configs/smoke/td-hm_efficientnet-lite0_horse26-192x192.py"
    config.write_text(UNLABELLED.format(base=base))
    folder = tmp_path / "images"
    folder.mkdir()
    for path in (sample_data / "images/test").iterdir():
        image = cv2.imread(str(path))
        height, width = image.shape[:2]
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), 25, 1.4)
        cv2.imwrite(str(folder / path.name), cv2.warpAffine(image, turn, (width, height)))
    command = [REPO / "tools/dist_train.sh", config, 2, "--data-root", sample_data]
    run([*command, "--unlabelled", folder], tmp_path / "two", batch_size=4)
    first, second = (torch.load(tmp_path / f"two/rank_{rank}.pth") for rank in (0, 1))
    means = [name for name in first if "running" not in name]  # each rank has its own images
    assert means
    for name in means:
        assert torch.equal(first[name], second[name]), f"{name} differs between the ranks"
    rows = logged_rows(tmp_path / "two", "loss_unlabelled")
    assert rows
    assert all(row["unlabelled_share"] == 1 for row in rows)
