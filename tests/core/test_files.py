import os
from pathlib import Path

import pytest

from equikpt.core import files
from equikpt_runtime.files import write_text


def refuse(*_, **__):
    raise OSError(1, "Operation not permitted")


WAYS = {"link": (), "hard link": ("symlink_to",), "copy": ("symlink_to", "link")}


@pytest.fixture(params=WAYS)
def way(request, monkeypatch) -> str:
    """A system that has links, hard links alone, or neither."""
    for name in WAYS[request.param]:
        monkeypatch.setattr(Path if name == "symlink_to" else os, name, refuse)
    return request.param


def test_a_second_name_leads_to_the_file(tmp_path, way):
    folder = tmp_path / "run"
    for number in (1, 2):
        write_text(folder / f"epoch_{number}.pth", str(number))
        for _ in range(2):  # again: a hard link to the same file stays
            files.link_file(folder / "last.pth", folder / f"epoch_{number}.pth")
        assert (folder / "last.pth").read_text() == str(number)
    assert (folder / "last.pth").is_symlink() == (way == "link")
    assert (folder / "epoch_1.pth").read_text() == "1"
    assert sorted(os.listdir(folder)) == ["epoch_1.pth", "epoch_2.pth", "last.pth"]
    folder.rename(tmp_path / "moved")
    assert (tmp_path / "moved" / "last.pth").read_text() == "2"


@pytest.mark.parametrize("step", ["before the name", "after the name"])
def test_a_second_name_survives_a_kill(tmp_path, monkeypatch, way, step):
    for number in (1, 2):
        (tmp_path / f"epoch_{number}.pth").write_text(str(number))
    files.link_file(tmp_path / "last.pth", tmp_path / "epoch_1.pth")
    replace = os.replace

    def killed(*paths):
        if step == "after the name":
            replace(*paths)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)  # nothing is cleaned up
    with pytest.raises(KeyboardInterrupt):
        files.link_file(tmp_path / "last.pth", tmp_path / "epoch_2.pth")
    assert (tmp_path / "last.pth").read_text() == ("2" if step == "after the name" else "1")
    monkeypatch.undo()
    files.sweep_parts(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["epoch_1.pth", "epoch_2.pth", "last.pth"]


def test_a_second_name_of_nothing_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.link_file(tmp_path / "last.pth", tmp_path / "gone.pth")
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "epoch_1.pth").write_text("1")
    files.link_file(tmp_path / "last.pth", tmp_path / "disk" / "epoch_1.pth")
    assert (tmp_path / "last.pth").read_text() == "1"
