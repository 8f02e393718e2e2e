from __future__ import annotations

import argparse
import hashlib
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from mmengine.config import Config, DictAction

from equikpt.checkpoints import zoo, zoo_files
from equikpt.checkpoints.zoo import CHECKPOINTS
from equikpt.checkpoints.zoo_files import (
    FOLDER,
    UnacceptedError,
    accepting,
    bring,
    fetch,
    format_list,
    state,
    sum_file,
    usage,
)
from tests.scripted_server import serving

REPO = Path(__file__).resolve().parents[2]
ROWS = pytest.mark.parametrize("row", CHECKPOINTS, ids=lambda row: row.name)
BACKBONES = [row for row in CHECKPOINTS if not row.keypoints]


def test_the_default_folder_is_ignored_by_git():
    assert f"/{FOLDER.parts[0]}/*" in (REPO / ".gitignore").read_text().splitlines()


# --- what a folder has ---


def test_states(row, tmp_path):
    path = tmp_path / row.file_name
    assert state(row, tmp_path) == "-"
    path.with_name(f"{path.name}.unaccepted").write_bytes(bytes(1_234_000))
    assert state(row, tmp_path) == "not accepted, 1.2 MB"
    path.write_bytes(b"weights")
    assert state(row, tmp_path) == "there, SHA-256 not accepted"
    assert state(replace(row, named_by_sha256=False), tmp_path) == "there, SHA-256 not accepted"
    digest = hashlib.sha256(b"weights").hexdigest()
    assert state(replace(row, sha256=digest), tmp_path) == "there, valid"
    sum_file(path).write_text(f"{digest}  {path.name}\n")
    assert state(row, tmp_path) == "there, valid"
    path.write_bytes(b"Weights")
    assert state(row, tmp_path) == "there, wrong SHA-256"
    sum_file(path).write_text("")
    with pytest.raises(ValueError, match="delete it to accept anew"):
        state(row, tmp_path)


def test_list(row, tmp_path):
    (tmp_path / row.file_name).write_bytes(b"weights")
    text = format_list(tmp_path, 300, [row, CHECKPOINTS[1]])
    lines = [line for line in text.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
    terms = f"{row.licence}; no data"
    assert cells[0] == ["net", "a network", "ap10k", terms, "there, SHA-256 not accepted", "0.0 MB"]
    assert cells[1][0] == "hrnet_w32_ap10k"
    assert cells[1][4:] == ["-", "-"]
    assert str(tmp_path) in text


def test_list_keeps_to_the_width(tmp_path):
    assert max(len(line) for line in format_list(Path("data"), 100).splitlines()) <= 100


@pytest.fixture
def published_row(row, monkeypatch):
    """The row with its file, ``weights``, on a server; and the server."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(b"weights") as server:
        yield replace(row, url=row.url.replace("http://127.0.0.1", server.origin)), server


def test_fetch(published_row, tmp_path):
    row, _ = published_row
    path, digest = tmp_path / row.file_name, hashlib.sha256(b"weights").hexdigest()
    with pytest.raises(ValueError, match=f"accept-sha256 {digest}"):
        fetch(row, tmp_path)
    assert not path.exists()
    asked = []
    assert fetch(row, tmp_path, ask=lambda *seen: asked.append(seen) or True) == (path, True)
    assert fetch(row, tmp_path) == (path, False)
    assert asked == [(row.file_name, digest)]
    assert state(row, tmp_path) == "there, valid"
    path.write_bytes(b"Weights")
    with pytest.raises(FileExistsError, match=digest):
        fetch(row, tmp_path)


def test_fetch_of_another_file(published_row, tmp_path):
    row, server = published_row
    server.content = b"Weights"
    with pytest.raises(ValueError, match=f"SHA-256 begins with {row.name_digits}"):
        fetch(row, tmp_path)
    assert fetch(row, tmp_path, check=False)[1]
    assert state(row, tmp_path) == "there, wrong SHA-256"


def test_a_file_from_elsewhere_is_accepted_once(row, tmp_path):
    path = tmp_path / row.file_name
    path.write_bytes(b"weights")
    with pytest.raises(ValueError, match="expected somebody to accept"):
        fetch(row, tmp_path, ask=lambda *_: False)
    assert fetch(row, tmp_path, ask=lambda *_: True) == (path, False)
    assert fetch(row, tmp_path) == (path, False)
    assert path.read_bytes() == b"weights"


# --- for a training ---


@pytest.fixture
def weights_folder(tmp_path, monkeypatch):
    """Folder that the environment names, on a machine that reaches itself alone."""
    monkeypatch.setenv("EQUIKPT_CHECKPOINTS", str(tmp_path / "weights"))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    return tmp_path / "weights"


def test_a_training_fetches_once(published_row, weights_folder, monkeypatch):
    row, server = published_row
    digest = hashlib.sha256(b"weights").hexdigest()
    monkeypatch.setattr(zoo, "CHECKPOINTS", (replace(row, sha256=digest),))
    assert bring("zoo://net") == bring("net") == weights_folder / row.file_name
    assert (weights_folder / row.file_name).read_bytes() == b"weights"
    assert len(server.requests) == 1


def test_a_training_asks_once_for_a_file_without_a_whole_sum(
    published_row, weights_folder, monkeypatch
):
    row, server = published_row
    monkeypatch.setattr(zoo, "CHECKPOINTS", (row,))
    with pytest.raises(UnacceptedError) as error:
        bring("zoo://net")
    digest = hashlib.sha256(b"weights").hexdigest()
    assert (error.value.row, error.value.sha256) == (row, digest)
    command = f"python tools/download_checkpoints.py net --accept-sha256 {digest}"
    assert str(error.value).endswith(command)
    assert accepting([error.value]) == command
    assert bring("zoo://net", lambda *_: True) == bring("zoo://net")
    assert len(server.requests) == 1


def test_without_a_network_a_training_says_what_to_do(weights_folder):
    with pytest.raises(ConnectionError) as error:
        bring("zoo://rtmpose_m_ap10k")
    for words in ("download_checkpoints.py rtmpose_m_ap10k", "--from-scratch", str(weights_folder)):
        assert words in str(error.value)


@pytest.mark.parametrize(("answer", "taken"), [("y", True), ("", False)])
def test_nobody_is_asked_but_on_a_terminal(monkeypatch, answer, taken):
    monkeypatch.setattr("builtins.input", lambda question: answer)
    monkeypatch.setattr(zoo_files.sys, "stdin", argparse.Namespace(isatty=lambda: True))
    assert zoo_files.ask_on_terminal("net.pth", "0" * 64) is taken
    monkeypatch.setattr(zoo_files.sys, "stdin", argparse.Namespace(isatty=lambda: False))
    assert zoo_files.ask_on_terminal("net.pth", "0" * 64) is False


# --- using it ---


def options(line: str) -> dict:
    """What tools/train.py makes of the printed options."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    return parser.parse_args(shlex.split(line)).cfg_options


@pytest.mark.parametrize(
    "name", ["weights/a.pth", "a(1).pth", "it's.pth", "my weights/a.pth", "a,b.pth"]
)
@ROWS
def test_a_training_starts_from_the_file(row, name):
    """``load_from`` of a whole model, ``init_cfg`` of a backbone."""
    line, config = usage(row, Path(name)), Config(dict(model=dict(backbone=dict(type="HRNet"))))
    if set(name) & set(" ,"):  # MMEngine's own reading of options changes or splits the path
        assert options(f"--cfg-options {shlex.quote(f'load_from={name}')}") != {"load_from": name}
        config = Config.fromstring(line.removeprefix("in the config: "), ".py")
    else:
        config.merge_from_dict(options(line))
    prefix = {"prefix": row.prefix} if row.prefix else {}
    init_cfg = {"type": "Pretrained", "checkpoint": name, **prefix}
    assert config.get("load_from") == (name if row.keypoints else None)
    assert row.keypoints or config.model.backbone.init_cfg == init_cfg


@pytest.mark.parametrize("row", BACKBONES, ids=lambda row: row.name)
def test_prefixes_are_those_of_mmposes_own_configs(row, published):
    """Where a config of MMPose starts from the file, does it name a prefix?"""
    short = {"hrnet_w18_imagenet": "open-mmlab://msra/hrnetv2_w18"}.get(row.name, row.file_name)
    before = re.findall(rf"init_cfg=dict\(([^()]*?{re.escape(short)})", published)
    assert before
    prefixes = {match[1] for text in before if (match := re.search("prefix='(.*?)'", text))}
    assert prefixes == ({row.prefix} if row.prefix else set())


@pytest.mark.parametrize("prefix", ["", "backbone."], ids=["bare", "with prefix"])
def test_the_weights_arrive_in_the_backbone(prefix, row, tmp_path):
    """A file as published, through the printed options, into a backbone of MMPose."""
    import torch
    from mmpose.registry import MODELS

    import equikpt.register  # noqa: F401  # readies the stack

    small = dict(type="CSPNeXt", arch="P5", deepen_factor=0.1, widen_factor=0.1, out_indices=(4,))
    source = MODELS.build({**small, "_scope_": "mmpose"})
    weights = {f"{prefix}{name}": value + 1 for name, value in source.state_dict().items()}
    torch.save({"state_dict": weights}, tmp_path / "a.pth")

    config = Config(dict(model=dict(backbone={**small, "_scope_": "mmpose"})))
    line = usage(replace(row, keypoints="", prefix=prefix), tmp_path / "a.pth")
    config.merge_from_dict(options(line))
    backbone = MODELS.build(config.model.backbone)
    backbone.init_weights()
    for name, value in backbone.state_dict().items():
        torch.testing.assert_close(value, source.state_dict()[name] + 1, rtol=0, atol=0)
