"""The report of a run, from a work dir to one HTML file: its best checkpoint tested, once."""

from __future__ import annotations

import copy
import shlex
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config

import equikpt.register  # noqa: F401
from equikpt.cli.commands.report import ReportOptions
from equikpt.cli.launch import (
    check_annotation_files,
    load_config,
    merge_options,
    parse_options,
    set_data_root,
    set_test_split,
)
from equikpt.compat.safe_load import is_complete
from equikpt.core.errors import USER_ERRORS, causes, sentence
from equikpt.core.files import refuse_existing, write_text
from equikpt.report.evaluation import Evaluation, load, save
from equikpt.report.html.page import Report, to_html
from equikpt.report.run.facts import config_name, environment
from equikpt.report.run.run_folder import Run, read_run
from equikpt.report.run.run_plan import setting
from equikpt.report.saved_config import code_in
from equikpt.report.testing import key_of, run_test

PREDICTIONS = ".predictions.json"
"""Ending of the file beside the report that keeps the predictions."""


@dataclass(frozen=True)
class ReportResult:
    """Files and notes of a report.

    Args:
        page: The report.
        predictions: What it was made of; None where nothing was tested.
        notes: Sentences on what is left out.
        untested: Whether the run has a checkpoint that could not be tested.
    """

    page: Path
    predictions: Path | None
    notes: tuple[str, ...]
    untested: bool = False


def write_report(options: ReportOptions) -> ReportResult:
    """Test the run's checkpoint, unless that is done, and write the page.

    A run without config, checkpoint or data gets a page of what there is. Only what the options
    name must exist. The saved config is read as data; where it names code that is not the
    package's, nothing is tested unless ``trust_config`` says that it may run.

    Raises:
        FileNotFoundError: No such run, or something that an option names is missing.
        FileExistsError: The page exists and ``overwrite`` is not set.
        ValueError: An option that does not fit the run or the machine, or a checkpoint that cannot
            be read or is of another model.
    """
    page = options.target
    refuse_existing(page, options.overwrite)
    if (options.device or "").startswith("cuda") and not torch.cuda.is_available():
        raise ValueError("expected a GPU for --device cuda, torch sees none; leave the option out")
    run = read_run(options.work_dir)
    checkpoint, notes = _choose(run, options.checkpoint)
    evaluation, reason = _evaluate(run, checkpoint, options)
    notes += [reason] if reason else []
    report = Report(run, evaluation, _commands(run, checkpoint, options), notes)
    write_text(page, to_html(report))
    kept = _predictions(page) if evaluation is not None else None
    return ReportResult(page, kept, tuple(notes), checkpoint is not None and evaluation is None)


def _predictions(page: Path) -> Path:
    return page.with_suffix(PREDICTIONS)


def _choose(run: Run, wanted: str) -> tuple[Path | None, list[str]]:
    """The checkpoint to test, and what to say of the choice."""
    found = run.checkpoints
    if wanted not in ("best", "newest"):
        if not Path(wanted).is_file():
            raise FileNotFoundError(
                f"expected --checkpoint best, newest or a file, found no file {wanted}; the run's "
                f"are in {run.folder}"
            )
        return Path(wanted), []
    _refuse_damaged(run, "best_*.pth" if wanted == "best" else "[ei]*_*.pth")
    best = next(iter((*found.best, *found.top)), None)
    chosen = best if wanted == "best" and best is not None else found.newest
    if chosen is None:
        return None, [f"Nothing was tested: {run.folder} has no {wanted} checkpoint."]
    if wanted == "best" and best is None:
        return chosen, [f"The run kept no best checkpoint; the newest was tested: {chosen.name}."]
    return chosen, []


def _refuse_damaged(run: Run, pattern: str) -> None:
    """Stop where the file that is wanted is there and damaged: another one is another result.

    Raises:
        ValueError: The newest file of this name is no whole checkpoint.
    """
    files = sorted(run.folder.glob(pattern), key=lambda path: path.stat().st_mtime)
    if files and not is_complete(files[-1]):
        raise ValueError(
            f"expected a checkpoint in {files[-1]}, it is cut off or damaged; move it away, or "
            "name another one with --checkpoint FILE"
        )


def _evaluate(
    run: Run, checkpoint: Path | None, options: ReportOptions
) -> tuple[Evaluation | None, str]:
    """The test's result, from the file beside the page where that is of the same test."""
    if checkpoint is None:
        return None, ""
    reason = _untestable(run, options)
    if reason:
        return None, f"Nothing was tested: {reason}"
    try:
        cfg = _test_config(run, options)
        kept = _predictions(options.target)
        evaluation = load(kept, key_of(cfg, checkpoint))
        if evaluation is None:
            evaluation = run_test(cfg, checkpoint)
            save(evaluation, kept)
        return evaluation, ""
    except USER_ERRORS as error:
        missing = next((e for e in causes(error) if isinstance(e, FileNotFoundError)), None)
        if missing is None or options.changes_test:
            raise
        return None, f"Nothing was tested: {sentence(missing)}"


def _untestable(run: Run, options: ReportOptions) -> str:
    """Why the run's config does not serve for a test; empty where it does."""
    if run.config is None:
        return f"no config was found in {run.folder}."
    if not options.trust_config:
        code = [*run.config_gaps, *code_in(run.config)]
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


def _test_config(run: Run, options: ReportOptions) -> Config:
    """The run's own config with the options in, checked against what is on disk."""
    changes = parse_options(options.cfg_options)
    if options.trust_config:
        cfg = load_config(_config_path(run), changes)
    else:
        cfg = copy.deepcopy(run.config)
        merge_options(cfg, changes)
    if options.split is not None and cfg.get(f"{options.split}_dataloader") is None:
        raise ValueError(
            f"expected {options.split}_dataloader in the config for --split, it is None"
        )
    set_data_root(cfg, options.data_root)
    set_test_split(cfg, options.split)
    check_annotation_files(cfg, ("test",))
    return cfg


def _config_path(run: Run) -> str:
    """The config as a file: the one that has its name, else the dump of the newest start."""
    name = config_name(run)
    if name:
        return str(run.folder / name)
    return "" if run.config is None else str(run.config.filename)


def _commands(run: Run, checkpoint: Path | None, options: ReportOptions) -> list[tuple[str, str]]:
    """List the command lines of each step of the run and of this report."""
    config = _config_path(run)
    commands = []
    if config:
        train = ["python", "tools/train.py", config, "--work-dir", f"{run.folder}_again"]
        drawn = dict(environment(run)).get("Seed")
        if setting(run, "randomness.seed") is None and drawn:
            train += ["--seed", drawn]
        commands.append(("Train", shlex.join(train)))
    shared = options.shared_with_test()
    if config and checkpoint is not None:
        test = ["python", "tools/test.py", config, str(checkpoint), *shared]
        commands.append(("Test", shlex.join(test)))
    report = ["python", "tools/report.py", "--work-dir", str(run.folder)]
    report += ["--checkpoint", options.checkpoint] if options.checkpoint != "best" else []
    report += ["--out", options.out] if options.out else []
    return [*commands, ("This report", shlex.join([*report, *shared, "--force"]))]
