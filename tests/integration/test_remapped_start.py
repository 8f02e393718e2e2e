"""A training that starts from a checkpoint of another keypoint set, through the whole runner."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

import equikpt.register  # noqa: F401
from equikpt.metainfo.correspondence import index_pairs
from tests.conftest import REPO
from tests.integration.conftest import SMALL


@pytest.fixture(scope="module")
def ap10k_checkpoint(tmp_path_factory):
    """A 17-point twin of the small RTMPose, as MMPose would have written it."""
    config = Config.fromfile(REPO / "configs/smoke/rtmpose_m_ap10k.py").model
    config.head.out_channels = 17
    init_default_scope("mmpose")
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("released") / "ap10k.pth"
    torch.save({"state_dict": MODELS.build(config).state_dict(), "meta": {}}, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.0, 1e-3], ids=["rate 0", "rate 1e-3"])
def test_trains_on_from_the_remapped_weights(
    run_tool, sample_data, ap10k_checkpoint, tmp_path, rate
):
    done = run_tool(
        "train.py",
        *("smoke/rtmpose_m_ap10k", "--work-dir", tmp_path, "--data-root", sample_data),
        *("--no-validate", "--cfg-options", f"load_from={ap10k_checkpoint}"),
        *("default_hooks.remap.type=RemapCheckpointHook", "default_hooks.remap.source=ap10k"),
        *("train_cfg.max_epochs=1", f"optim_wrapper.optimizer.lr={rate}", *SMALL),
    )
    assert done.returncode == 0, done.stderr
    theirs = torch.load(ap10k_checkpoint, weights_only=True)["state_dict"]
    ours = torch.load(tmp_path / "epoch_1.pth", weights_only=True)["state_dict"]
    of_ap10k, of_horse26 = map(list, index_pairs("ap10k"))
    name = "head.final_layer.weight"
    copied = torch.equal(ours[name][of_horse26], theirs[name][of_ap10k])
    kept = torch.equal(ours["backbone.stem.0.conv.weight"], theirs["backbone.stem.0.conv.weight"])
    assert copied is kept is (rate == 0)
    log = "\n".join(path.read_text() for path in tmp_path.rglob("*.log"))
    assert "head.final_layer.weight" in log
    assert "remapped" in log
