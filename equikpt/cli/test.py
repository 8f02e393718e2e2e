"""A test run, from options to metrics, through the stock runner."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from equikpt.cli.commands.test import EvaluateOptions
from equikpt.cli.launch import (
    check_annotation_files,
    init_distributed,
    load_config,
    parse_options,
    set_data_root,
    set_test_split,
    set_work_dir,
)
from equikpt.core.configs import strip_pretrained_init
from equikpt.core.files import refuse_existing, write_bytes, write_text
from equikpt.core.tables import frame_text
from equikpt.evaluation.presentation import Presented, presented
from equikpt.visualization.pose import check_image_name, write_image


@dataclass(frozen=True)
class EvaluateResult:
    """Values, texts and files of a test.

    Args:
        metrics: By name.
        rank: Of this process.
        summaries: Texts of the metrics that have one.
        written: Tables and sheets of metrics.
    """

    metrics: dict[str, float]
    rank: int
    summaries: tuple[str, ...] = ()
    written: tuple[Path, ...] = ()


def evaluate(options: EvaluateOptions) -> EvaluateResult:
    """Test as ``options`` say.

    Raises:
        FileNotFoundError: Config, checkpoint or annotations missing.
        FileExistsError: A file to write exists.
        ValueError: Options that do not fit the config or the machine.
    """
    cfg = build_config(options)
    init_distributed(cfg, options.launcher)
    with tempfile.TemporaryDirectory(prefix="equikpt_") as scratch:
        prefix = str(Path(scratch) / "results")
        if options.out:
            _metric(cfg, "CocoMetric", "--out").outfile_prefix = prefix
        runner = Runner.from_cfg(cfg)
        metrics = runner.test()
        if options.out and runner.rank == 0:
            write_bytes(Path(options.out), Path(f"{prefix}.keypoints.json").read_bytes())
    made = (each for each in runner.test_evaluator.metrics if isinstance(each, Presented))
    tables = [each for each in made if each.table is not None]  # on the first rank
    summaries = tuple(text for each in tables if (text := each.summary()))
    written = _write(tables, options, Path(runner.log_dir))
    return EvaluateResult(metrics, runner.rank, summaries, written)


def _write(metrics: list[Presented], options: EvaluateOptions, folder: Path) -> tuple[Path, ...]:
    """Tables and sheets that a metric always makes, and those that the options name."""
    written = []
    for number, metric in enumerate(metrics):
        report = options.report if number == 0 else None
        if metric.table is not None and (report or metric.table_file):
            written.append(Path(report or folder / metric.table_file))
            write_text(written[-1], frame_text(metric.table))
        if metric.sheet_file:
            written.append(Path(options.draw or folder / metric.sheet_file))
            write_image(written[-1], metric.sheet(options.draw_count))
    return tuple(written)


def build_config(options: EvaluateOptions) -> Config:
    """The config that ``options`` lead to, checked against what is on disk."""
    for target in (options.out, options.report, options.draw):
        if target:
            refuse_existing(Path(target), options.overwrite)
    if not Path(options.checkpoint).is_file():
        raise FileNotFoundError(
            f"expected a checkpoint at {options.checkpoint}, found no such file; train one with "
            "tools/train.py, or see the work dir for best_coco_AP_epoch_*.pth"
        )
    changes = parse_options(options.cfg_options)
    if "load_from" in changes:
        raise ValueError("expected the checkpoint after the config, got the option load_from")
    cfg = load_config(options.config, changes)
    set_work_dir(cfg, options.work_dir)
    set_data_root(cfg, options.data_root)
    set_test_split(cfg, options.split)
    check_annotation_files(cfg, ("test",))
    cfg.load_from, cfg.resume = options.checkpoint, False
    strip_pretrained_init(cfg.model)
    if options.draw:
        check_image_name(options.draw)
    tables = [presented()[each.type] for each in _evaluators(cfg) if each.type in presented()]
    if options.report and not tables:
        raise _lacking(cfg, " or ".join(presented()), "--report")
    if options.draw and not any(each.sheet_file for each in tables):
        sheet = dict(
            type="PredictionSheetHook", out_file=options.draw, num_instances=options.draw_count
        )
        cfg.custom_hooks = [*cfg.custom_hooks, sheet]
    return cfg


def format_result(result: EvaluateResult) -> str:
    """Summaries, files and values, for a terminal."""
    lines = [line for text in result.summaries for line in (text, "")]
    if result.written:
        lines += [*map(str, result.written), ""]
    width = max(map(len, result.metrics))
    lines += [f"{name:<{width}}  {value:8.3f}" for name, value in result.metrics.items()]
    return "\n".join(lines)


def _metric(cfg: Config, name: str, option: str) -> Config:
    """The config of the test metric that ``option`` needs."""
    for evaluator in _evaluators(cfg):
        if evaluator.type == name:
            return evaluator
    raise _lacking(cfg, name, option)


def _lacking(cfg: Config, names: str, option: str) -> ValueError:
    return ValueError(
        f"expected {names} in test_evaluator for {option}, found "
        f"{', '.join(each.type for each in _evaluators(cfg))}; add it to the config"
    )


def _evaluators(cfg: Config) -> list[Config]:
    evaluators = cfg.test_evaluator
    return list(evaluators) if isinstance(evaluators, (list, tuple)) else [evaluators]
