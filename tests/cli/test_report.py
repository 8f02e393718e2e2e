"""From a work dir to the page, through the stock runner, with a model as it is drawn at random."""

from __future__ import annotations

import os
import re
import shlex
import shutil

import pytest
import torch

from equikpt.cli.commands.report import main
from equikpt.cli.launch import load_config
from tests.random_models import random_checkpoint
from tests.report.written_runs import config, write_start

CONFIG = "smoke/td-hm_efficientnet-lite0_horse26-192x192"
BEST = "best_coco_AP_epoch_1.pth"


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
    random_checkpoint(CONFIG, folder).rename(folder / BEST)
    (start / "vis_data" / "kept").touch()
    return folder


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def report(run, capsys):
    """``report(*options, code=0)``: the lines that are printed, and the page."""

    def report(*options, code: int = 0) -> tuple[list[str], str]:
        assert main(["--work-dir", str(run), "--overwrite", *options]) == code
        return capsys.readouterr().out.splitlines(), (run / "report.html").read_text()

    return report


@pytest.fixture
def tested(monkeypatch):
    """Names of the checkpoints that would be tested; each test ends with an error instead."""
    names: list[str] = []

    def run_test(cfg, checkpoint):
        names.append(checkpoint.name)
        raise ValueError("enough")

    monkeypatch.setattr("equikpt.report.testing.run_test", run_test)
    return names


def edit_configs(run, edit) -> None:
    for path in run.rglob("*.py"):
        path.write_text(edit(path.read_text()))


def names_in(folder) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_a_run_is_tested_once(trained, run, report, request):
    before = names_in(run)
    lines, page = report()
    written = {"report.html", "report.predictions.json"}
    assert lines == [f"written: {run}/report.html", f"kept: {run}/report.predictions.json"]
    assert names_in(run) - before == written
    assert not (trained / "must_not_be_written.csv").exists()
    assert 'id="parts-data"' in page
    assert "coco/AP" not in page  # stands in the table of COCO
    assert "Object similarity (COCO)" in page
    assert re.search(rf"{BEST} on \d+ samples of test.json", page)
    assert page.count("<figure>") >= 4

    tested = request.getfixturevalue("tested")
    assert report()[1] == page
    torch.save({}, run / BEST)
    with pytest.raises(ValueError, match="enough"):
        report()
    assert tested == [BEST]


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        ("checkpoint", "has no best checkpoint"),
        ("labels", "expected test annotations at"),
        ("config", "no config was found"),
        ("images", "4 of 4 images"),
    ],
)
def test_what_is_missing_is_on_the_page(run, report, sample_data, tmp_path, lacking, words):
    if lacking == "checkpoint":
        (run / BEST).unlink()
    elif lacking == "labels":
        edit_configs(run, lambda text: text.replace("annotations/", "lost/"))
    elif lacking == "config":
        for path in run.rglob("*.py"):
            path.unlink()
    else:
        shutil.copytree(sample_data / "annotations", tmp_path / "bare" / "annotations")
        edit_configs(run, lambda text: text.replace(str(sample_data), str(tmp_path / "bare")))
    (note, written), page = report(code=int(lacking != "checkpoint"))
    assert words in note
    assert written == f"written: {run}/report.html"
    assert words in page
    assert "Training curves" in page
    assert 'id="parts-data"' not in page


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("--checkpoint none.pth", FileNotFoundError),
        ("--data-root nowhere", FileNotFoundError),
        ("--cfg-options tset=1", ValueError),
        ("--work-dir none", FileNotFoundError),
    ],
)
def test_what_an_option_names_must_be_there(report, words, error):
    with pytest.raises(error, match=words.split()[-1].removesuffix("=1")):
        report(*words.split())


def test_a_page_that_exists_is_kept(run):
    (run / "report.html").touch()
    with pytest.raises(FileExistsError, match=r"report\.html"):
        main(["--work-dir", str(run)])


def test_a_split_that_the_config_lacks(run, report):
    edit_configs(run, lambda text: f"{text}\nval_dataloader = None\n")
    with pytest.raises(ValueError, match="val_dataloader"):
        report("--split", "val")


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps", "tpu"])
def test_a_gpu_that_is_not_there(run, monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ValueError, match=f"--device.*{device}"):
        main(["--work-dir", str(run), "--device", device])


def test_a_checkpoint_that_cannot_be_read_is_an_error(run, report):
    (run / BEST).write_bytes(b"damaged")
    with pytest.raises(ValueError, match="expected a checkpoint in"):
        report()
    assert not (run / "report.html").exists()


def test_a_config_that_names_code_is_tested_only_on_trust(run, report, tmp_path, tested):
    mark = tmp_path / "ran"
    edit_configs(run, lambda text: f"{text}\nopen({str(mark)!r}, 'w').close()\n")
    assert "--trust-config" in report(code=1)[0][0]
    assert not mark.exists()
    with pytest.raises(ValueError, match="enough"):
        report("--trust-config")
    assert mark.exists()


@pytest.mark.parametrize("wanted", ["best", "newest"])
def test_without_a_best_checkpoint_the_newest_is_tested(run, report, wanted, tested):
    os.rename(run / BEST, run / "epoch_1.pth")
    (run / "last_checkpoint").write_text("/elsewhere/epoch_1.pth")
    with pytest.raises(ValueError, match="enough"):
        report("--checkpoint", wanted)
    assert tested == ["epoch_1.pth"]


def test_the_commands_on_the_page_can_be_typed(tmp_path):
    """Of a run that has no checkpoint."""
    run, out = tmp_path / "run", str(tmp_path / "my page.html")
    write_start(run, [1.0, 0.9, 0.8], cfg=config())
    (run / "my_horse.py").write_text("model = None")
    assert main(["--work-dir", str(run), "--out", out, "--checkpoint", "newest"]) == 0
    blocks = (tmp_path / "my page.html").read_text().split("<pre><code>")[1:]
    lines = [block.split("</code>")[0].replace("&#39;", "'") for block in blocks]
    train, report = map(shlex.split, lines)
    assert train[:3] == ["python", "tools/train.py", str(run / "my_horse.py")]
    assert train[3:5] == ["--work-dir", f"{run}_again"]
    assert report == [
        *("python", "tools/report.py", str(run), "--checkpoint", "newest"),
        *("--out", out, "--overwrite"),
    ]
