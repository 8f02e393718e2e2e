from __future__ import annotations

import os
from pathlib import Path

import pytest
from mmengine.config import Config

from equikpt.core.configs import find_config, read_config, work_dir_of
from equikpt.core.project import find_checkpoint, find_work_dir, shown

NEWEST_LAST = {
    "stable names": (["last.pth", "best.pth", "epoch_3.pth"], "best.pth"),
    "no best one": (["last.pth", "epoch_3.pth"], "last.pth"),
    "MMEngine's own hook": (
        ["best_a_epoch_1.pth", "best_a_epoch_2.pth", "epoch_3.pth"],
        "best_a_epoch_2.pth",
    ),
    "MMEngine's own hook, no best one": (["epoch_3.pth", "iter_4.pth"], "iter_4.pth"),
    "other files": (["mine.pth", "top_a_epoch_1.pth", "epoch_3.pth"], "epoch_3.pth"),
}


def make_run(folder: Path, *names: str) -> Path:
    """Empty checkpoints, in this order of time, and what MMEngine leaves beside them."""
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        (folder / name).touch()
        os.utime(folder / name, (1000 + number, 1000 + number))
    (folder / "last_checkpoint").write_text("/elsewhere/epoch_3.pth")
    return folder


@pytest.fixture
def project(tmp_path) -> Path:
    """A project whose run was moved with it."""
    folder = tmp_path / "mice"
    run = make_run(folder / "work_dir", "best.pth")
    (folder / "config.py").write_text("work_dir = '{{ fileDirname }}/work_dir'\na = 'mine'\n")
    (run / "config.py").write_text("work_dir = '/elsewhere/mice/work_dir'\na = 'saved'\n")
    return folder


@pytest.mark.parametrize(("names", "expected"), NEWEST_LAST.values(), ids=NEWEST_LAST)
@pytest.mark.parametrize("kind", ["work dir", "project folder"])
def test_the_checkpoint_of_a_folder(tmp_path, kind, names, expected):
    folder = tmp_path / "run"
    if kind == "project folder":
        folder = tmp_path / "mice" / "work_dir"
    make_run(folder, *names)
    if kind == "project folder":
        (tmp_path / "mice" / "config.py").touch()
    given = folder if kind == "work dir" else folder.parent
    assert find_checkpoint(given) == folder / expected


def test_a_checkpoint_file_is_itself(tmp_path):
    run = make_run(tmp_path / "run", "best.pth", "epoch_3.pth")
    assert find_checkpoint(str(run / "epoch_3.pth")) == run / "epoch_3.pth"


def test_a_name_that_leads_nowhere_is_passed_over(tmp_path):
    run = make_run(tmp_path / "run", "epoch_3.pth")
    (run / "best.pth").symlink_to("gone.pth")
    assert find_checkpoint(run) == run / "epoch_3.pth"


@pytest.mark.parametrize("path", ["gone.pth", ".", "mice"])
def test_a_path_without_a_checkpoint_is_named(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    Path("mice/work_dir").mkdir(parents=True)
    Path("mice/config.py").touch()
    with pytest.raises(FileNotFoundError, match=path):
        find_checkpoint(path)


def test_a_link_is_shown_with_its_file(tmp_path):
    run = make_run(tmp_path / "run", "best_a_epoch_2.pth")
    (run / "best.pth").symlink_to("best_a_epoch_2.pth")
    assert shown(run / "best.pth") == f"{run / 'best.pth'} (best_a_epoch_2.pth)"
    assert shown(run / "best_a_epoch_2.pth") == str(run / "best_a_epoch_2.pth")


def test_the_work_dir_of_a_folder(project):
    assert find_work_dir(project) == project / "work_dir"
    assert find_work_dir(project / "work_dir") == project / "work_dir"
    assert find_work_dir(project.parent) == project.parent


@pytest.mark.parametrize(
    ("given", "value"), [("mice", "mine"), ("mice/config.py", "mine"), ("mice/work_dir", "mine")]
)
def test_a_folder_stands_for_its_config(project, monkeypatch, given, value):
    """With its work dir where it is now."""
    monkeypatch.chdir(project.parent)
    cfg = read_config(given)
    assert cfg.a == value
    assert work_dir_of(cfg).resolve() == project / "work_dir"


def test_a_run_of_a_config_of_any_name(tmp_path):
    run = make_run(tmp_path / "run", "best.pth")
    with pytest.raises(FileNotFoundError, match="the folder"):
        find_config(run)
    (run / "horse.py").touch()
    assert find_config(run) == run / "horse.py"
    (run / "other.py").touch()
    with pytest.raises(FileNotFoundError, match="the folder"):
        find_config(run)


def test_a_program_in_a_folder_that_is_no_run_is_no_config(tmp_path):
    (tmp_path / "setup.py").touch()
    with pytest.raises(FileNotFoundError, match="the folder"):
        find_config(tmp_path)


def test_a_config_of_no_file_has_no_work_dir():
    with pytest.raises(ValueError, match="work_dir"):
        work_dir_of(Config(dict(a=1)))
