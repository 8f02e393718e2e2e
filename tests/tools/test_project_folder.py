"""A file, a work dir or a project folder as the checkpoint of every tool that takes one."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest
from mmengine.runner import Runner

from equikpt.apis import Predictor
from equikpt.cli.launch import load_config
from tests.conftest import REPO
from tests.random_models import random_checkpoint
from tests.report.written_runs import write_start

CONFIG = "smoke/td-hm_efficientnet-lite0_horse26-192x192"
FILE = "best_coco_AP_epoch_1.pth"
PROJECT = f"""
_base_ = [{str(REPO / "configs" / f"{CONFIG}.py")!r}]
work_dir = "{{{{ fileDirname }}}}/work_dir"
train_dataloader = dict(dataset=dict(data_root="{{{{ fileDirname }}}}/data"))
val_dataloader = dict(dataset=dict(data_root="{{{{ fileDirname }}}}/data"), num_workers=0)
test_dataloader = dict(dataset=dict(data_root="{{{{ fileDirname }}}}/data"), num_workers=0)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory, sample_data) -> Path:
    """A project whose run kept the checkpoint of a small model, drawn at random."""
    folder = tmp_path_factory.mktemp("made") / "horses"
    run = folder / "work_dir"
    shutil.copytree(sample_data, folder / "data")
    (folder / "config.py").write_text(PROJECT)
    write_start(run, [1.0, 0.5], cfg=load_config(folder))
    load_config(folder).dump(run / "config.py")
    random_checkpoint(CONFIG, run).rename(run / FILE)
    (run / "best.pth").symlink_to(FILE)
    (run / "last_checkpoint").write_text("/elsewhere/epoch_1.pth")
    return folder


@pytest.fixture
def project(made, tmp_path, monkeypatch) -> Path:
    """The project in the working directory, as ``horses``, for a test that writes into it."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(made, tmp_path / "horses", symlinks=True)


@pytest.fixture
def loaded(monkeypatch) -> list[str]:
    """Names of the files that tools come to load; each ends there with an error."""
    found: list[str] = []

    def load(path) -> None:
        found.append(Path(path).resolve().name)
        raise PermissionError(errno.EACCES, "enough", str(path))

    patch = monkeypatch.setattr
    patch("equikpt.apis.box_predictor.load_weights", lambda model, path: load(path))
    patch("equikpt.apis.detectors.load_weights", lambda model, path: load(path))
    patch("equikpt.checkpoints.remap.load_from_local", lambda path, **_: load(path))
    patch("equikpt.report.testing.run_test", lambda cfg, path: load(path))
    patch("equikpt.cli.launch.check_resumable", load)
    patch(Runner, "from_cfg", lambda cfg: load(cfg.load_from))
    return found


DRAW = "--img horses/data/images/val/000001.jpg --out x.jpg --device cpu"
DETECT = "--detector ssdlite320_mobilenet_v3_large --detector-checkpoint"
WITH_CHECKPOINT = {
    "test": f"{CONFIG} CHECKPOINT --data-root horses/data --work-dir log",
    "train": f"{CONFIG} --data-root horses/data --cfg-options load_from=CHECKPOINT",
    "report": "horses --checkpoint CHECKPOINT",
    "visualize": f"--config {CONFIG} --checkpoint CHECKPOINT {DRAW}",
    "visualize, the detector": f"--config {CONFIG} --checkpoint x {DETECT} CHECKPOINT {DRAW}",
    "calibrate": "x.png --checkpoint CHECKPOINT --device cpu",
    "count": "x.png --checkpoint CHECKPOINT --device cpu",
    "remap_checkpoint": f"CHECKPOINT x.pth --config {CONFIG} --source ap10k",
}


@pytest.mark.parametrize("name", WITH_CHECKPOINT)
@pytest.mark.parametrize("given", [f"horses/work_dir/{FILE}", "horses/work_dir", "horses"])
def test_a_checkpoint_is_a_file_or_a_folder(project, call_tool, loaded, name, given):
    arguments = WITH_CHECKPOINT[name].replace("CHECKPOINT", given).split()
    call_tool(name.split(",")[0], *arguments, code=2)
    assert loaded == [FILE]


OF_A_PROJECT = {
    "test": "horses",
    "report": "horses",
    "report, by its option": "--work-dir horses",
    "visualize": f"--config horses {DRAW}",
}


@pytest.mark.parametrize("name", OF_A_PROJECT)
@pytest.mark.parametrize("folder", ["horses", "horses/work_dir"])
def test_a_folder_is_enough(project, call_tool, loaded, name, folder):
    arguments = OF_A_PROJECT[name].split()
    arguments = [folder if word == "horses" else word for word in arguments]
    call_tool(name.split(",")[0], *arguments, code=2)
    assert loaded == [FILE]


@pytest.mark.parametrize("resume", ["--resume", "--resume horses", "--resume horses/work_dir"])
def test_a_run_goes_on_from_its_folder(project, call_tool, loaded, monkeypatch, resume):
    newest = project / "work_dir" / "epoch_1.pth"
    monkeypatch.setattr("equikpt.cli.launch.newest_whole", lambda folder: (newest, []))
    shutil.copy(project / "work_dir" / FILE, newest)
    call_tool("train", "horses", *resume.split(), code=2)
    assert loaded == ["epoch_1.pth"]


def test_training_reads_and_writes_in_the_project(project, call_tool, monkeypatch):
    seen = []

    def build(cfg):
        seen.append(cfg)
        raise PermissionError(errno.EACCES, "enough", cfg.work_dir)

    monkeypatch.setattr(Runner, "from_cfg", build)
    shutil.rmtree(project / "work_dir")
    call_tool("train", "horses", code=2)
    (cfg,) = seen
    assert Path(cfg.work_dir) == project / "work_dir"
    assert Path(cfg.train_dataloader.dataset.data_root) == project / "data"


def test_other_tools_take_a_project(project, call_tool):
    assert "backbone" in call_tool("param_report", "horses", "--names")
    call_tool("browse_dataset", "horses", "--count", 1)
    assert (project.parent / "work_dirs" / "browse_horses.jpg").is_file()
    for line in ("horses", "--work-dir horses", "horses/work_dir"):
        assert call_tool("monitor_training", *line.split()).startswith("horses\n")


def test_a_predictor_of_a_project(project):
    (found,) = Predictor("horses")("horses/data/images/val/" + image_of(project))
    (same,) = Predictor(CONFIG, "horses/work_dir")("horses/data/images/val/" + image_of(project))
    assert found.keypoints.tolist() == same.keypoints.tolist()


def image_of(project: Path) -> str:
    return min(path.name for path in (project / "data" / "images" / "val").iterdir())


# --- no test set ---


def test_a_test_without_a_test_set_takes_that_of_validation(project, call_tool):
    (project / "data" / "annotations" / "test.json").unlink()
    out = call_tool("test", "horses", "--out", "found.json")
    lines = out.splitlines()
    assert [line for line in lines if line.startswith("Tested: ") and FILE in line]
    assert [line for line in lines if "annotations/val.json" in line]
    assert "coco/AP" in out
    assert Path("found.json").is_file()


def test_a_report_without_a_test_set_takes_that_of_validation(project, call_tool):
    (project / "data" / "annotations" / "test.json").unlink()
    out = call_tool("report", "horses", "--data-root", "horses/data")
    assert "annotations/val.json" in out
    assert "samples of val.json" in (project / "work_dir" / "report.html").read_text()


@pytest.mark.parametrize(
    "choice",
    ["--split test", "--cfg-options test_dataloader.dataset.ann_file=annotations/mine.json"],
)
def test_a_test_set_that_is_named_must_be_there(project, call_tool, loaded, choice):
    (project / "data" / "annotations" / "test.json").unlink()
    sentence = call_tool("test", "horses", *choice.split(), code=2)
    assert "expected test annotations at" in sentence
    assert not loaded
