"""Checkpoint that a run goes on from, lock and sweep of its folder, and files written whole."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.fileio import dump, put_text
from mmengine.runner import save_checkpoint
from yapf.yapflib import yapf_api

from equikpt.compat import work_dir
from equikpt_runtime import files
from tests.conftest import REPO


def save(folder: Path, *names: str) -> None:
    """Whole checkpoints, in this order of time."""
    for number, name in enumerate(names):
        parts = {"state_dict": {"w": torch.arange(9.0)}, "meta": {}}
        if work_dir.NUMBERED.fullmatch(name):
            parts |= {"message_hub": {}, "optimizer": {}}
        torch.save(parts, folder / name)
        os.utime(folder / name, (1000 + number, 1000 + number))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(torch.arange(9.0).numpy().tobytes()) + 6] ^= 1
    path.write_bytes(content)


def point(folder: Path, name: str, time_s: float = 2000) -> None:
    (folder / "last_checkpoint").write_text(name)
    os.utime(folder / "last_checkpoint", (time_s, time_s))


def newest(folder: Path) -> str:
    return work_dir.newest_whole(folder)[0].name


@pytest.mark.parametrize("damage", [cut, flip, lambda path: path.write_bytes(b"")])
def test_a_damaged_checkpoint_is_passed_over_and_named(tmp_path, damage):
    save(tmp_path, "epoch_9.pth", "epoch_10.pth")
    point(tmp_path, "/elsewhere/epoch_10.pth")
    damage(tmp_path / "epoch_10.pth")
    found, passed_over = work_dir.newest_whole(tmp_path)
    assert found == tmp_path / "epoch_9.pth"
    assert [str(tmp_path / "epoch_10.pth") in reason for reason in passed_over] == [True]


@pytest.mark.parametrize("content", [None, "", "\0\0", "."])
def test_without_a_pointer_the_highest_number_counts(tmp_path, content):
    save(tmp_path, "epoch_9.pth", "best_a_epoch_11.pth", "epoch_10.pth", "epoch_2.pth")
    if content is not None:
        point(tmp_path, content)
    assert newest(tmp_path) == "epoch_10.pth"


def test_a_checkpoint_that_is_not_pointed_to_yet(tmp_path):
    save(tmp_path, "epoch_1.pth", "epoch_2.pth")
    point(tmp_path, "epoch_1.pth", time_s=1000.5)
    assert newest(tmp_path) == "epoch_2.pth"


def test_a_run_that_was_taken_back_goes_on_from_there(tmp_path):
    save(tmp_path, "epoch_1.pth", "epoch_2.pth", "epoch_3.pth")
    point(tmp_path, "epoch_2.pth")
    assert newest(tmp_path) == "epoch_2.pth"
    cut(tmp_path / "epoch_2.pth")
    assert newest(tmp_path) == "epoch_1.pth"


def test_a_copied_folder_does_not_go_on_with_the_original(tmp_path):
    for name in ("original", "copy"):
        (tmp_path / name).mkdir()
        save(tmp_path / name, "epoch_1.pth")
        point(tmp_path / name, str(tmp_path / "original" / "epoch_1.pth"))
    assert work_dir.newest_whole(tmp_path / "copy")[0] == tmp_path / "copy" / "epoch_1.pth"


def test_checkpoints_of_another_folder(tmp_path):
    """``out_dir`` of the checkpoint hook."""
    (tmp_path / "disk").mkdir()
    save(tmp_path / "disk", "epoch_1.pth", "epoch_2.pth")
    point(tmp_path, str(tmp_path / "disk" / "epoch_2.pth"))
    cut(tmp_path / "disk" / "epoch_2.pth")
    assert work_dir.newest_whole(tmp_path)[0] == tmp_path / "disk" / "epoch_1.pth"


def test_a_run_of_which_the_last_checkpoint_alone_was_copied(tmp_path):
    save(tmp_path, "epoch_1.pth")
    os.rename(tmp_path / "epoch_1.pth", tmp_path / "last.pth")
    assert newest(tmp_path) == "last.pth"


def test_an_empty_folder_has_none(tmp_path):
    assert work_dir.newest_whole(tmp_path) == (None, [])


@pytest.mark.parametrize("name", ["epoch_1.pth", "best_a_epoch_1.pth"])
def test_a_run_that_has_none_left_is_not_begun_again(tmp_path, name):
    save(tmp_path, name)
    if name == "epoch_1.pth":
        cut(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        work_dir.newest_whole(tmp_path)


@pytest.mark.slow
def test_a_second_process_is_kept_out_and_a_third_after_the_end(tmp_path):
    code = "import sys; from equikpt.compat.work_dir import lock; from pathlib import Path; "
    take = [sys.executable, "-c", code + "lock(Path(sys.argv[1])); print('taken', flush=True)"]
    hold = [*take[:2], take[2] + "; sys.stdin.read()", str(tmp_path)]
    options = dict(text=True, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    first = subprocess.Popen(hold, stdin=subprocess.PIPE, **options)
    try:
        assert first.stdout.readline() == "taken\n"
        second = subprocess.run([*take, str(tmp_path)], check=False, **options)
        assert f"one runs there (process {first.pid} on" in second.stderr
    finally:
        first.kill()
        first.communicate()
    third = subprocess.run([*take, str(tmp_path)], check=False, **options)
    assert third.stdout == "taken\n"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="expected a work dir that can be written to"):
        work_dir.lock(tmp_path / "file" / "run")


def test_what_a_killed_run_left_is_swept_and_nothing_else(tmp_path):
    whole = ["best_a_epoch_1.pth", "top_a_epoch_1.pth", "epoch_1.pth"]
    mine = ["notes.part", ".x.part", "mine.pth", f".page.html.{os.getppid()}.part", "epoch_2.pth"]
    torn = [".epoch_3.pth.99999999.part", "best_a_epoch_2.pth", "top_a_epoch_2.pth"]
    save(tmp_path, *whole)
    for name in (*mine, *torn):
        (tmp_path / name).touch()
    (tmp_path / "last.pth").symlink_to("epoch_1.pth")
    (tmp_path / "best.pth").symlink_to("best_a_epoch_2.pth")
    whole, torn = [*whole, "last.pth"], [*torn, "best.pth"]
    assert sorted(work_dir.sweep(tmp_path)) == sorted(torn)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*whole, *mine}


def test_a_run_that_is_replaced_leaves_what_the_new_one_starts_from(tmp_path):
    names = ["epoch_1.pth", "iter_5.pth", "best_a_epoch_1.pth", "top_a_epoch_1.pth", "mine.pth"]
    save(tmp_path, *names)
    point(tmp_path, "epoch_1.pth")
    (tmp_path / "top_checkpoints.json").write_text("[]")
    (tmp_path / "last.pth").symlink_to("epoch_1.pth")
    work_dir.clear(tmp_path, keep=str(tmp_path / "best_a_epoch_1.pth"))
    assert {path.name for path in tmp_path.iterdir()} == {"best_a_epoch_1.pth", "mine.pth"}


@pytest.mark.parametrize("linked", [True, False], ids=["a link", "a copy"])
def test_a_run_that_is_replaced_leaves_the_name_that_the_new_one_starts_from(tmp_path, linked):
    save(tmp_path, "epoch_1.pth", "best_a_epoch_1.pth")
    if linked:
        (tmp_path / "best.pth").symlink_to("best_a_epoch_1.pth")
    else:
        save(tmp_path, "best.pth")
    (tmp_path / "last.pth").symlink_to("gone.pth")
    work_dir.clear(tmp_path, keep=str(tmp_path / "best.pth"))
    left = {"best.pth", "best_a_epoch_1.pth"} if linked else {"best.pth"}
    assert {path.name for path in tmp_path.iterdir()} == left


def test_names_go_before_the_files_that_they_lead_to(tmp_path, monkeypatch):
    save(tmp_path, "epoch_1.pth", "best_a_epoch_1.pth")
    for name, target in (("best.pth", "best_a_epoch_1.pth"), ("last.pth", "epoch_1.pth")):
        (tmp_path / name).symlink_to(target)
    gone, unlink = [], Path.unlink

    def watched(path, **options):
        gone.append(path.name)
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", watched)
    work_dir.clear(tmp_path, keep=None)
    assert {*gone[:2]} == {"best.pth", "last.pth"}
    assert len(gone) == 4


@pytest.mark.parametrize("content", ["", "{", "[1]", '[{"file": "a.pth"}]', '{"a": 1}', "null"])
def test_a_list_that_cannot_be_read_is_none(tmp_path, content):
    (tmp_path / "top_checkpoints.json").write_text(content)
    assert work_dir.read_top(tmp_path) is None


WAYS = {
    "epoch_1.pth": lambda path: save_checkpoint({"state_dict": {"w": torch.ones(9)}}, str(path)),
    "config.py": lambda path: Config({"a": 1}).dump(path),
    "config.json": lambda path: Config({"a": 1}).dump(path),
    "notes.txt": lambda path: put_text("new", path),
    "list.json": lambda path: dump([1], path),
}


@pytest.mark.parametrize("name", WAYS)
def test_a_full_disk_leaves_the_old_file_and_is_named(tmp_path, monkeypatch, name):
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

    once = work_dir._format_once(counted)
    monkeypatch.setattr(yapf_api, "FormatCode", once)
    if hasattr(module, "FormatCode"):  # the official mmengine
        assert module.FormatCode is formatted
        monkeypatch.setattr(module, "FormatCode", once)
    first = cfg.pretty_text
    assert cfg.pretty_text == first == "a = dict(b=[\n    1,\n    2,\n])\n"
    assert len(calls) == 1
    cfg.a.b = [3]
    assert "3" in cfg.pretty_text
