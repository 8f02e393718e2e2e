"""MMEngine's own ways of writing a file leave the old one or the new one, whole."""

from __future__ import annotations

import os

import pytest
import torch
from mmengine.config import Config
from mmengine.fileio import dump, put_text
from mmengine.runner import save_checkpoint
from yapf.yapflib import yapf_api

from equikpt.core import files

WAYS = {
    "epoch_1.pth": lambda path: save_checkpoint({"state_dict": {"w": torch.ones(9)}}, str(path)),
    "config.py": lambda path: Config({"a": 1}).dump(path),
    "config.json": lambda path: Config({"a": 1}).dump(path),
    "notes.txt": lambda path: put_text("new", path),
    "list.json": lambda path: dump([1], path),
}


@pytest.mark.parametrize("name", WAYS)
def test_a_full_disk_leaves_what_was_there_and_says_so(tmp_path, monkeypatch, name):
    path = tmp_path / name
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match=rf"{name} cannot be written: No space left on device; .* as"):
        WAYS[name](path)
    assert os.listdir(tmp_path) == [name]
    assert path.read_text() == "old"
    monkeypatch.undo()
    WAYS[name](path)
    assert path.read_text(errors="replace") != "old"
    assert os.listdir(tmp_path) == [name]


def test_a_config_is_formatted_once(monkeypatch):
    from mmengine.config import config as module

    cfg, formatted = Config({"a": dict(b=[1, 2])}), yapf_api.FormatCode
    calls = []

    def counted(text, **options):
        calls.append(text)
        return formatted.__wrapped__(text, **options)

    from equikpt.compat.safe_save import _format_once

    once = _format_once(counted)
    monkeypatch.setattr(yapf_api, "FormatCode", once)
    if hasattr(module, "FormatCode"):  # the official mmengine
        assert module.FormatCode is formatted
        monkeypatch.setattr(module, "FormatCode", once)
    first = cfg.pretty_text
    assert cfg.pretty_text == first == "a = dict(b=[\n    1,\n    2,\n])\n"
    assert len(calls) == 1
    cfg.a.b = [3]
    assert "3" in cfg.pretty_text
