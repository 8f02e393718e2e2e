"""The tool as a person runs it, on a machine that reaches nothing or one server of its own."""

from __future__ import annotations

import hashlib
import re
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from equikpt.checkpoints import zoo
from tests.scripted_server import cut, serving, whole

TOOL = "download_checkpoints"
CONTENT = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = f"net-{SHA256[:8]}.pth"


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    """Port 9 of this machine answers nobody: whatever a test does wrong stays here."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)


@pytest.fixture
def server(monkeypatch):
    """A server with the file of one row more, ``net``."""
    with serving(CONTENT) as running:
        row = zoo.Checkpoint("net", f"{running.origin}/{FILE}", "ap10k", "a", "b")
        monkeypatch.setattr(zoo, "CHECKPOINTS", (*zoo.CHECKPOINTS, row))
        yield running


@pytest.mark.parametrize("names", [[], ["hrnet_w32_ap10k"]], ids=["all", "one"])
def test_list(call_tool, tmp_path, names):
    (tmp_path / zoo.find("hrnet_w32_ap10k").file_name).write_bytes(b"half")
    printed = call_tool(TOOL, "--list", *names, "--dest", tmp_path)
    for row in zoo.CHECKPOINTS:
        assert (f"│ {row.name} " in printed) == (not names or row.name in names)
    assert "there, wrong SHA-256" in printed
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("names", "words"),
    [(["hrnet_w32_ap10k", "rtmpose_x"], "got 'rtmpose_x'; there are"), ([], "expected --yes")],
    ids=["unknown name", "nobody to ask"],
)
def test_names_are_checked_before_anything_is_fetched(call_tool, tmp_path, names, words):
    assert words in call_tool(TOOL, *names, "--dest", tmp_path / "new", code=2)
    assert not (tmp_path / "new").exists()


def test_offline(call_tool, tmp_path):
    sentence = call_tool(TOOL, "hrnet_w32_imagenet", "--dest", tmp_path, code=2)
    assert "hrnet_w32-36af842e.pth cannot be reached (Connection refused)" in sentence
    assert f"put it at {tmp_path}" in sentence


def test_a_file_that_cannot_be_checked_is_kept(call_tool, tmp_path):
    path = tmp_path / zoo.find("cspnext_m_coco_aic").file_name
    path.write_bytes(b"from elsewhere")
    digest = hashlib.sha256(b"from elsewhere").hexdigest()
    arguments = ("cspnext_m_coco_aic", "--dest", tmp_path)
    assert f"accept-sha256 {digest}" in call_tool(TOOL, *arguments, code=2)
    printed = call_tool(TOOL, *arguments, "--accept-sha256", digest)
    assert printed.splitlines() == [
        f"{path} (kept; there, valid)",
        "  --cfg-options model.backbone.init_cfg.type=Pretrained"
        f" model.backbone.init_cfg.checkpoint={path} model.backbone.init_cfg.prefix=backbone.",
    ]


def test_fetched_then_kept(call_tool, server, tmp_path):
    server.script = [cut(100_000)]
    path = tmp_path / "new" / FILE
    arguments = ("net", "--dest", path.parent)
    retry, *rest = call_tool(TOOL, *arguments, "--accept-sha256", SHA256).splitlines()
    assert path.read_bytes() == CONTENT
    assert retry.startswith(f"{FILE}: ")
    assert rest == [f"{path} (fetched; there, valid)", f"  --cfg-options load_from={path}"]
    assert call_tool(TOOL, *arguments).startswith(f"{path} (kept; there, valid)\n")
    assert len(server.requests) == 2


@pytest.fixture
def all_served(server, monkeypatch):
    """All that the configs start from is on the server; of two files the whole sum is known."""
    rows = [
        replace(row, url=f"{server.origin}/{row.name}-{SHA256[:8]}.pth", sha256=SHA256 * (i < 2))
        for i, row in enumerate(zoo.needed())
    ]
    monkeypatch.setattr(zoo, "CHECKPOINTS", tuple(rows))
    return rows


def test_without_names_all_that_the_configs_start_from(call_tool, all_served, tmp_path):
    """What needs no question first; then one command for what somebody has to accept."""
    known, others = all_served[:2], all_served[2:]
    sentence = call_tool(TOOL, "--dest", tmp_path, "--yes", code=2)
    assert {path.name for path in tmp_path.glob("*.pth")} == {row.file_name for row in known}
    words = sentence.split("download_checkpoints.py ")[1].split()
    names = [row.name for row in others]
    assert words == [*names, "--accept-sha256", *[SHA256] * len(names)]
    call_tool(TOOL, *words, "--dest", tmp_path)
    printed = call_tool(TOOL, "--dest", tmp_path)  # nothing to fetch is nothing to ask
    assert len(re.findall("there, valid +│", printed)) == len(all_served)


@pytest.mark.parametrize(("max_mb", "answer"), [(100, ""), (0, "y"), (0, "n")])
def test_much_is_fetched_if_a_person_says_so(
    call_tool, all_served, tmp_path, monkeypatch, max_mb, answer
):
    monkeypatch.setattr("equikpt.cli.commands.download_checkpoints.MAX_UNASKED_MB", max_mb)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    asked = []
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or answer)
    call_tool(TOOL, "--dest", tmp_path, code=0 if answer else 2)  # nobody takes the sums
    assert ("(3 MB)" in asked[0]) is (max_mb == 0)
    assert any(tmp_path.glob("*.pth")) is (answer != "n")


def test_a_wrong_file(call_tool, server, tmp_path):
    path, arguments = tmp_path / FILE, ("net", "--dest", tmp_path)
    path.write_bytes(b"mine")
    assert "overwrite" in call_tool(TOOL, *arguments, code=2)
    assert path.read_bytes() == b"mine"
    server.script = [whole(b"another"), whole(b"another")]
    assert "check=False" in call_tool(TOOL, *arguments, "--overwrite", code=2)
    assert path.read_bytes() == b"mine"
    printed = call_tool(TOOL, *arguments, "--overwrite", "--no-check")
    assert f"{path} (fetched; there, wrong SHA-256)" in printed
    assert path.read_bytes() == b"another"
