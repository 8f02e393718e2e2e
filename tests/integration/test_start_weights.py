"""From a named config to a training step: stand-ins of the released weights, served here."""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import replace

import pytest
import torch

from equikpt.checkpoints import zoo
from equikpt.cli import options as declare
from equikpt.cli.commands.train import TrainOptions, build_config, main
from equikpt.cli.launch import build_model, load_config
from equikpt.compat.safe_load import load_from_local
from equikpt.core.errors import is_user_error
from equikpt.metainfo.correspondence import index_pairs
from tests.scripted_server import cut, serving, status, whole

CONFIG = "rtmpose_m_ap10k"


@pytest.fixture(scope="module")
def published() -> tuple[dict, bytes]:
    """RTMPose-m of AP-10K's 17 points: its tensors, and the file as OpenMMLab writes it."""
    cfg = load_config(CONFIG)
    cfg.model.head.out_channels = 17
    torch.manual_seed(1)
    state = build_model(cfg).state_dict()
    content = io.BytesIO()
    torch.save(dict(state_dict=state, meta={}), content)
    return state, content.getvalue()


@pytest.fixture
def server(published, monkeypatch, tmp_path):
    """A server that has the file, and a machine that reaches nothing else."""
    _, content = published
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("EQUIKPT_CHECKPOINTS", str(tmp_path / "weights"))
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    digest = hashlib.sha256(content).hexdigest()
    with serving(content) as running:
        url = f"{running.origin}/net-{digest[:8]}.pth"
        row = replace(zoo.find(CONFIG), url=url, sha256=digest)
        monkeypatch.setattr(zoo, "CHECKPOINTS", (row,))
        yield running


@pytest.fixture
def arguments(sample_data, tmp_path) -> list[str]:
    """The command as typed, for one step of two images at a rate that moves nothing."""
    return [
        *(CONFIG, "--amp", "--data-root", str(sample_data), "--work-dir", str(tmp_path / "work")),
        *("--epochs", "1", "--lr", "1e-30", "--batch-size", "2", "--no-validate"),
        *("--cfg-options", "train_dataloader.dataset.indices=2"),
    ]


@pytest.mark.slow
def test_from_the_config_to_a_step(server, published, arguments, tmp_path):
    server.script = [cut(100_000)]
    main(arguments)
    (file,) = (tmp_path / "weights").glob("*.pth")
    assert file.read_bytes() == published[1]
    theirs, ours = published[0], load_from_local(tmp_path / "work/epoch_1.pth")["state_dict"]
    of_ap10k, of_horse26 = map(list, index_pairs("ap10k"))
    name = "head.final_layer.weight"
    torch.testing.assert_close(ours[name][of_horse26], theirs[name][of_ap10k])
    for name in ours:
        if name.startswith("backbone.") and name.endswith("weight"):
            torch.testing.assert_close(ours[name], theirs[name])
    log = "\n".join(path.read_text() for path in (tmp_path / "work").rglob("*.log"))
    assert re.search(r"remapped +head.final_layer.weight", log)
    assert len(server.requests) == 2, "cut once, and then whole"

    # the file is kept, and a run that goes on does not need it
    main([*arguments, "--overwrite"])
    assert len(server.requests) == 2
    file.unlink()
    server.script = [status(404)]
    main([*arguments, "--resume"])
    assert len(server.requests) == 2


def test_a_wrong_file_is_refused(server, arguments, tmp_path):
    server.script = [whole(b"another"), whole(b"another")]
    with pytest.raises(ValueError, match="SHA-256") as error:
        main(arguments)
    assert is_user_error(error.value)
    assert not list((tmp_path / "weights").glob("*.pth"))


def test_without_a_network(published, arguments, tmp_path, monkeypatch):
    """One sentence before anything is built; --from-scratch goes on."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("EQUIKPT_CHECKPOINTS", str(tmp_path / "weights"))
    with pytest.raises(ConnectionError, match="--from-scratch") as error:
        main(arguments)
    assert is_user_error(error.value)
    assert not (tmp_path / "work").exists() or not list((tmp_path / "work").rglob("*.log"))
    cfg = build_config(declare.parse(TrainOptions, [*arguments, "--from-scratch"]))
    assert cfg.load_from is None
    assert cfg.model.backbone.frozen_stages == -1
