from __future__ import annotations

import copy
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from equikpt.cli import options as declare
from equikpt.cli.options import Split, argument, option

if TYPE_CHECKING:
    from mmengine.config import Config

    from equikpt.report.evaluation import Evaluation
    from equikpt.report.run.run_folder import Run


@dataclass(frozen=True, kw_only=True)
class ReportOptions(declare.ReadsImages):
    """One page on a run: what was trained, how well it does, where it errs, how to reproduce it.

    The run's best checkpoint is tested as its config says, and its predictions are kept beside the
    page: a second call does not test again unless the checkpoint, the labels or the settings
    changed.

    Exit code 0: done; 1: the run has a checkpoint that was not tested, for the reason on the page;
    2: wrong call, or a checkpoint that cannot be read.
    """

    run: str | None = argument(
        "work dir of the run, or project folder", None, nargs="?", metavar="DIR", one_of="run"
    )
    work_dir: str | None = option("the same", metavar="DIR", one_of="run")
    checkpoint: str = option(
        "what to test (default: best; where the run kept no best one, the newest)",
        default="best",
        metavar="best|newest|FILE|DIR",
    )
    out: str | None = option(
        "page to write (default: report.html in the work dir)", metavar="FILE.html"
    )
    data_root: str | None = declare.data_root()
    split: Split | None = option("images to test on (default: test, or else val)")
    cfg_options: Sequence[str] | None = declare.cfg_options()
    trust_config: bool = option(
        "run the work dir's config, which is a program, where it names code of its own",
        default=False,
    )
    device: str | None = declare.device()
    overwrite: bool = declare.overwrite("a page that exists")


def main(argv: list[str] | None = None) -> int:
    """Write the page; 1 where the run has a checkpoint that was not tested.

    A run without config, checkpoint or data gets a page of what there is. Only what the options
    name must exist. The saved config is read as data; where it names code that is not the
    package's, nothing is tested unless ``--trust-config`` says that it may run.
    """
    options = declare.parse(ReportOptions, argv)
    named = re.fullmatch(r"cpu|mps|cuda(?::(\d+))?", options.device or "cpu")
    if named is None:
        raise ValueError(
            f"expected --device cpu, mps, cuda or such as cuda:0, got {options.device!r}"
        )
    if options.device == "cpu" or named[1]:  # before MMEngine looks for GPUs: when imported
        os.environ["CUDA_VISIBLE_DEVICES"] = named[1] or ""
    import equikpt.register  # noqa: F401
    from equikpt.core.project import find_work_dir
    from equikpt.report.html.page import Report, to_html
    from equikpt.report.run.run_folder import read_run
    from equikpt_runtime.files import refuse_existing, write_text

    work_dir = find_work_dir(options.run or options.work_dir or "")
    page = Path(options.out or work_dir / "report.html")
    kept = page.with_suffix(".predictions.json")
    refuse_existing(page, options.overwrite)
    _check_device(options.device)
    run = read_run(work_dir)
    checkpoint, notes = _choose(run, options.checkpoint)
    evaluation = None
    if checkpoint is not None:
        evaluation, note = _evaluate(run, checkpoint, options, kept)
        notes += [note] if note else []
    write_text(page, to_html(Report(run, evaluation, _commands(run, checkpoint, options), notes)))
    print("\n".join([*notes, f"written: {page}"]))
    if evaluation is not None:
        print(f"kept: {kept}")
    return int(checkpoint is not None and evaluation is None)


def _check_device(wanted: str | None) -> None:
    """Refuse a GPU that is not there, and keep MMEngine from Apple's where a CPU is wanted."""
    import torch
    from mmengine.device import utils

    kind = (wanted or "cpu").partition(":")[0]
    backend = {"cuda": torch.cuda, "mps": torch.backends.mps}.get(kind)
    if backend and not backend.is_available():
        raise ValueError(
            f"expected a GPU for --device {wanted}, torch sees none; leave the option out"
        )
    if wanted == "cpu":
        utils.DEVICE = "cpu"


def _choose(run: Run, wanted: str) -> tuple[Path | None, list[str]]:
    """The checkpoint to test, and what to say of the choice."""
    from equikpt.compat.safe_load import is_complete
    from equikpt.core.project import find_checkpoint

    if wanted not in ("best", "newest"):
        return find_checkpoint(wanted), []
    files = run.folder.glob("best_*.pth" if wanted == "best" else "[ei]*_*.pth")
    newest = max(files, key=lambda path: path.stat().st_mtime, default=None)
    if newest and not is_complete(newest):  # another one is another result
        raise ValueError(
            f"expected a checkpoint in {newest}, it is cut off or damaged; move it away, or "
            "name another one with --checkpoint FILE"
        )
    found = run.checkpoints
    best = next(iter((*found.best, *found.top)), None)
    chosen = best if wanted == "best" and best is not None else found.newest
    if chosen is None:
        return None, [f"Nothing was tested: {run.folder} has no {wanted} checkpoint."]
    if wanted == "best" and best is None:
        return chosen, [f"The run kept no best checkpoint; the newest was tested: {chosen.name}."]
    return chosen, []


def _evaluate(
    run: Run, checkpoint: Path, options: ReportOptions, kept: Path
) -> tuple[Evaluation | None, str]:
    """The test's result, from ``kept`` where that is of the same test, and what to say of it."""
    from equikpt.cli.launch import note_on_sigmas
    from equikpt.core.errors import USER_ERRORS, causes, sentence
    from equikpt.report.evaluation import load, save
    from equikpt.report.testing import key_of, run_test

    if reason := _untestable(run, options):
        return None, f"Nothing was tested: {reason}"
    try:
        cfg, note = _test_config(run, options)
        evaluation = load(kept, key_of(cfg, checkpoint))
        if evaluation is None:
            evaluation = run_test(cfg, checkpoint)
            save(evaluation, kept)
        return evaluation, " ".join(filter(None, (note, *note_on_sigmas(cfg))))
    except USER_ERRORS as error:
        missing = next((e for e in causes(error) if isinstance(e, FileNotFoundError)), None)
        if missing is None or options.data_root or options.split or options.cfg_options:
            raise
        return None, f"Nothing was tested: {sentence(missing)}"


def _untestable(run: Run, options: ReportOptions) -> str:
    """Reason why the run's config does not serve for a test; empty where it does."""
    from equikpt.cli.launch import parse_options
    from equikpt.report.run.saved_config import code_in

    if run.config is None:
        return f"no config was found in {run.folder}."
    code = [] if options.trust_config else [*run.config_gaps, *code_in(run.config)]
    if code:
        return (
            f"the config that {run.folder} holds is a program ({'; '.join(code)}), which a "
            "report does not run; if it is your own, or you have read it, give --trust-config"
        )
    given = {key.split(".")[0] for key in parse_options(options.cfg_options)}
    needed = {"test_dataloader", "test_evaluator"} - given
    lacking = sorted(key for key in needed if run.config.get(key) is None)
    if lacking:
        return f"expected {' and '.join(lacking)} in the run's config, there is none"
    return ""


def _test_config(run: Run, options: ReportOptions) -> tuple[Config, str]:
    """The run's own config with the options in, checked against what is on disk, and a note."""
    from equikpt.cli import launch

    changes = launch.parse_options(options.cfg_options)
    if options.trust_config:
        cfg = launch.load_config(_config_path(run), changes)
    else:
        cfg = copy.deepcopy(run.config)
        launch.merge_options(cfg, changes)
    if options.split is not None and cfg.get(f"{options.split}_dataloader") is None:
        raise ValueError(
            f"expected {options.split}_dataloader in the config for --split, it is None"
        )
    launch.set_data_root(cfg, options.data_root)
    note = launch.set_test_split(cfg, options.split, changes)
    launch.check_annotation_files(cfg, ("test",))
    return cfg, note


def _config_path(run: Run) -> str:
    """The config as a file: the one that has its name, else the dump of the newest start."""
    from equikpt.report.run.facts import config_name

    if name := config_name(run):
        return str(run.folder / name)
    return "" if run.config is None else str(run.config.filename)


def _commands(run: Run, checkpoint: Path | None, options: ReportOptions) -> list[tuple[str, str]]:
    """Command lines of each step of the run and of this report."""
    from equikpt.report.run.facts import environment

    config, commands, shared = _config_path(run), [], []
    for flag, value in (("--split", options.split), ("--data-root", options.data_root)):
        shared += [flag, value] if value else []
    shared += ["--cfg-options", *options.cfg_options] if options.cfg_options else []
    if config:
        train = ["tools/train.py", config, "--work-dir", f"{run.folder}_again"]
        seed = dict(environment(run)).get("Seed")
        if run.setting("randomness.seed") is None and seed:
            train += ["--seed", seed]
        commands.append(("Train", train))
    if config and checkpoint is not None:
        commands.append(("Test", ["tools/test.py", config, str(checkpoint), *shared]))
    report = ["tools/report.py", str(run.folder)]
    report += ["--checkpoint", options.checkpoint] if options.checkpoint != "best" else []
    report += ["--out", options.out] if options.out else []
    commands.append(("This report", [*report, *shared, "--overwrite"]))
    return [(title, shlex.join(["python", *words])) for title, words in commands]
