"""A test run, from options to metrics, through the stock runner."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
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
from equikpt.evaluation.keypoint_metric import KeypointMetric
from equikpt.evaluation.ruler_metric import RulerMetric, format_summary
from equikpt.visualization.pose import check_image_name
from equikpt.visualization.ruler import write_worst_sheet


@dataclass(frozen=True)
class EvaluateResult:
    """Metrics, tables and files of a test.

    Args:
        metrics: By name.
        table: Of keypoints, if the config has ``KeypointMetric``.
        rank: Of this process.
        radiograph_report: The CSV of radiographs and the image of the worst, if it has
            ``RulerMetric``.
    """

    metrics: dict[str, float]
    table: pd.DataFrame | None
    rank: int
    radiograph_report: tuple[Path, ...] = ()


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
    tested = runner.test_evaluator.metrics
    keypoints = next((m.table for m in tested if isinstance(m, KeypointMetric)), None)
    radiographs = next((m.table for m in tested if isinstance(m, RulerMetric)), None)
    written: tuple[Path, ...] = ()
    if radiographs is not None and runner.rank == 0:
        folder = Path(runner.log_dir)
        written = (
            Path(options.report or folder / "films.csv"),
            Path(options.draw or folder / "worst_radiographs.jpg"),
        )
        write_text(written[0], frame_text(radiographs))
        write_worst_sheet(radiographs, written[1], options.draw_count)
    return EvaluateResult(metrics, keypoints, runner.rank, written)


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
    if _has_metric(cfg, "RulerMetric"):
        return cfg  # whose report is written from its table
    if options.report:
        _metric(cfg, "KeypointMetric", "--report").out_file = options.report
    if options.draw:
        sheet = dict(
            type="PredictionSheetHook", out_file=options.draw, num_instances=options.draw_count
        )
        cfg.custom_hooks = [*cfg.custom_hooks, sheet]
    return cfg


def format_result(result: EvaluateResult) -> str:
    """The table of keypoints or the summary of radiographs, then the metrics, for a terminal."""
    lines = []
    if result.radiograph_report:
        marks = {name.removeprefix("landmark/"): value for name, value in result.metrics.items()}
        lines += [format_summary(marks), "", *map(str, result.radiograph_report), ""]
    if result.table is not None:
        lines.append(result.table.to_string(index=False, float_format="%.3f", na_rep="-"))
        lines.append("")
    width = max(map(len, result.metrics))
    lines += [f"{name:<{width}}  {value:8.3f}" for name, value in result.metrics.items()]
    return "\n".join(lines)


def _metric(cfg: Config, name: str, option: str) -> Config:
    """The config of the test metric that ``option`` needs."""
    evaluators = _evaluators(cfg)
    for evaluator in evaluators:
        if evaluator.type == name:
            return evaluator
    raise ValueError(
        f"expected {name} in test_evaluator for {option}, found "
        f"{', '.join(evaluator.type for evaluator in evaluators)}; add it to the config"
    )


def _has_metric(cfg: Config, name: str) -> bool:
    return any(evaluator.type == name for evaluator in _evaluators(cfg))


def _evaluators(cfg: Config) -> list[Config]:
    evaluators = cfg.test_evaluator
    return list(evaluators) if isinstance(evaluators, (list, tuple)) else [evaluators]
