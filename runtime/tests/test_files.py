import os

import pytest

from equikpt_runtime import files


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
