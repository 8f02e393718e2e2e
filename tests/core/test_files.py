import os
from pathlib import Path

import pytest

from equikpt.core import files


def test_writes_whole_and_leaves_nothing_beside(tmp_path):
    target = tmp_path / "new" / "file.txt"
    files.write_text(target, "ä")
    assert target.read_text(encoding="utf-8") == "ä"
    assert os.listdir(target.parent) == ["file.txt"]


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "file.txt"
    target.write_text("old")

    def full_disk(_):
        raise OSError("No space left on device")

    monkeypatch.setattr(files.os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        files.write_text(target, "new")
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


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
        files.write_text(folder / f"epoch_{number}.pth", str(number))
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


def test_refuses_what_exists(tmp_path):
    files.refuse_existing(tmp_path / "new.txt", overwrite=False)
    (tmp_path / "file.txt").touch()
    files.refuse_existing(tmp_path / "file.txt", overwrite=True)
    with pytest.raises(FileExistsError, match="--overwrite"):
        files.refuse_existing(tmp_path / "file.txt", overwrite=False)


def test_refuses_what_could_not_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="found the file"):
        files.refuse_existing(tmp_path / "file" / "deep" / "x.json", overwrite=True)
    with pytest.raises(IsADirectoryError, match="got the folder"):
        files.refuse_existing(tmp_path, overwrite=True)
    with pytest.raises(OSError, match="too long"):
        files.require_writable(tmp_path / ("a" * 300) / "folder")
    monkeypatch.setattr(files.os, "access", lambda *_: False)  # as for another user's folder
    with pytest.raises(PermissionError, match="change its permissions"):
        files.require_writable(tmp_path / "new" / "folder")
    assert os.listdir(tmp_path) == ["file"]
