"""From a work dir to the page, through the stock runner, with a model as it is drawn at random."""

from __future__ import annotations

import os
import re
import shlex
import shutil

import pytest
import torch

from equikpt.cli import report as run_report
from equikpt.cli.launch import load_config
from equikpt.cli.report import ReportOptions, write_report
from tests.random_models import random_checkpoint
from tests.report.written_runs import write_start

CONFIG = "smoke/td-hm_efficientnet-lite0_horse26-192x192"


@pytest.fixture(scope="module")
def trained(tmp_path_factory, sample_data):
    """A run of a small model on generated horses, with the checkpoint that it kept."""
    folder = tmp_path_factory.mktemp("runs") / "trained"
    cfg = load_config(CONFIG)
    cfg.test_evaluator[1].update(out_file=str(folder / "must_not_be_written.csv"))
    for split in ("train", "val", "test"):
        cfg[f"{split}_dataloader"].dataset.data_root = str(sample_data)
    start = write_start(folder, [1.0, 0.5], cfg=cfg)
    cfg.dump(folder / "my_horse.py")
    random_checkpoint(CONFIG, folder).rename(folder / "best_coco_AP_epoch_1.pth")
    (start / "vis_data" / "kept").touch()
    return folder


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def options(run, **changes) -> ReportOptions:
    return ReportOptions(**dict(work_dir=str(run), overwrite=True) | changes)


def names_in(folder) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_a_run_is_tested_once(trained, run, monkeypatch):
    before = names_in(run)
    first = write_report(options(run))
    page = first.page.read_text()
    assert first.notes == ()
    assert names_in(run) - before == {"report.html", "report.predictions.json"}
    assert not (trained / "must_not_be_written.csv").exists()
    assert 'id="parts-data"' in page
    assert "coco/AP" not in page  # stands in the table of COCO
    assert "Object similarity (COCO)" in page
    assert re.search(r"best_coco_AP_epoch_1.pth on \d+ samples of test.json", page)
    assert page.count("<figure>") >= 4

    def test_again(*_):
        raise AssertionError("tested again")

    monkeypatch.setattr(run_report, "run_test", test_again)
    assert write_report(options(run)).page.read_text() == page
    torch.save({}, run / "best_coco_AP_epoch_1.pth")
    with pytest.raises(AssertionError, match="tested again"):
        write_report(options(run))


LACKING = [
    # what is taken away, and what the page says of it
    pytest.param("best_coco_AP_epoch_1.pth", "has no best checkpoint", id="no checkpoint"),
    pytest.param("data", "expected test annotations at", id="no labels"),
    pytest.param("config", "no config was found", id="no config"),
]


@pytest.mark.parametrize(("lacking", "told"), LACKING)
def test_what_is_missing_is_told(run, lacking, told):
    if lacking == "data":
        for path in run.rglob("*.py"):
            path.write_text(path.read_text().replace("annotations/test", "annotations/lost"))
    elif lacking == "config":
        for path in run.rglob("*.py"):
            path.unlink()
    else:
        (run / lacking).unlink()
    result = write_report(options(run))
    assert result.predictions is None
    assert result.untested == (lacking != "best_coco_AP_epoch_1.pth")
    assert [told in note for note in result.notes] == [True]
    page = result.page.read_text()
    assert told in page
    assert "Training curves" in page
    assert 'id="parts-data"' not in page


def test_images_that_are_all_missing_are_told(run, sample_data, tmp_path):
    """The data set says so when the runner builds it."""
    shutil.copytree(sample_data / "annotations", tmp_path / "bare" / "annotations")
    for path in run.rglob("*.py"):
        path.write_text(path.read_text().replace(str(sample_data), str(tmp_path / "bare")))
    result = write_report(options(run))
    (note,) = result.notes
    assert "4 of 4 images" in note, note


MISTAKES = [
    pytest.param(dict(checkpoint="none.pth"), FileNotFoundError, "no file none.pth", id="file"),
    pytest.param(dict(data_root="nowhere"), FileNotFoundError, "nowhere", id="data root"),
    pytest.param(dict(cfg_options=["tset=1"]), ValueError, "'tset'", id="option"),
    pytest.param(dict(overwrite=False), FileExistsError, "report.html", id="page exists"),
    pytest.param(dict(work_dir="none"), FileNotFoundError, "no folder none", id="work dir"),
]


@pytest.mark.parametrize(("changes", "error", "words"), MISTAKES)
def test_what_an_option_names_must_be_there(run, changes, error, words):
    (run / "report.html").touch()
    with pytest.raises(error, match=words):
        write_report(options(run, **changes))


def test_a_split_that_the_config_lacks(run):
    for path in run.rglob("*.py"):
        path.write_text(path.read_text() + "\nval_dataloader = None\n")
    with pytest.raises(ValueError, match="val_dataloader"):
        write_report(options(run, split="val"))


def test_a_checkpoint_that_cannot_be_read_is_an_error(run):
    (run / "best_coco_AP_epoch_1.pth").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="expected a checkpoint in"):
        write_report(options(run))
    assert not (run / "report.html").exists()


def test_a_config_that_names_code_is_tested_only_on_trust(run, tmp_path, monkeypatch):
    mark = tmp_path / "ran"
    for path in run.rglob("*.py"):
        path.write_text(f"{path.read_text()}\nopen({str(mark)!r}, 'w').close()\n")
    result = write_report(options(run))
    assert result.untested
    assert "--trust-config" in result.notes[0]
    assert not mark.exists()

    def enough(*_):
        raise ValueError("enough")

    monkeypatch.setattr(run_report, "run_test", enough)
    with pytest.raises(ValueError, match="enough"):
        write_report(options(run, trust_config=True))
    assert mark.exists()


@pytest.mark.parametrize("wanted", ["best", "newest"])
def test_without_a_best_checkpoint_the_newest_is_tested(run, wanted, monkeypatch):
    tested = []

    def note(cfg, checkpoint):
        tested.append(checkpoint.name)
        raise ValueError("enough")

    monkeypatch.setattr(run_report, "run_test", note)
    os.rename(run / "best_coco_AP_epoch_1.pth", run / "epoch_1.pth")
    (run / "last_checkpoint").write_text("/elsewhere/epoch_1.pth")
    with pytest.raises(ValueError, match="enough"):
        write_report(options(run, checkpoint=wanted))
    assert tested == ["epoch_1.pth"]


def test_the_commands_on_the_page_can_be_typed(run):
    (run / "best_coco_AP_epoch_1.pth").unlink()
    chosen = options(run, out=str(run / "my page.html"), checkpoint="newest")
    page = write_report(chosen).page.read_text()
    train, report = page.split("<pre><code>")[1:]
    config = str(run / "my_horse.py")
    line = train.split("</code>")[0]
    assert shlex.split(line) == [
        *("python", "tools/train.py", config, "--work-dir", f"{run}_again")
    ]
    line = report.split("</code>")[0].replace("&#39;", "'")
    assert shlex.split(line) == [
        *("python", "tools/report.py", "--work-dir", str(run), "--checkpoint", "newest"),
        *("--out", str(run / "my page.html"), "--force"),
    ]
