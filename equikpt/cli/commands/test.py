from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equikpt.cli import options as declare
from equikpt.cli.options import Split, argument, option, whole

if TYPE_CHECKING:
    from mmengine.config import Config


@dataclass(frozen=True)
class EvaluateOptions(declare.Launched):
    """Test a keypoint model: AP, PCK, error in px.

    Where there are no test annotations, and no --split, those of validation are taken.
    """

    config: str = declare.config_argument()
    checkpoint: str | None = argument(
        "checkpoint file, or a work dir (default: of the config's work dir the best one)",
        None,
        nargs="?",
        metavar="CHECKPOINT",
    )
    work_dir: str | None = declare.work_dir("where the log goes")
    data_root: str | None = declare.data_root()
    split: Split | None = option("images to test on (default: test, or else val)")
    out: str | None = option("write predictions as COCO results", metavar="FILE.json")
    report: str | None = option("write the table of keypoints or radiographs", metavar="FILE.csv")
    draw: str | None = option(
        "draw some predictions on one sheet; of radiographs the worst", metavar="FILE.jpg"
    )
    draw_count: int = option("instances on the sheet of --draw", default=12, type=whole(1))
    fit: bool = option(
        "write radii, calibrated scores and the features of training images into the checkpoint, "
        "for one that was trained without; with --split val, so that tests have other labels",
        default=False,
    )
    overwrite: bool = declare.overwrite()
    cfg_options: Sequence[str] | None = declare.cfg_options()


def main(argv: list[str] | None = None) -> int:
    """Test, and print summaries, files and values on the first rank; 0 when done."""
    options = declare.parse(EvaluateOptions, argv)
    from mmengine.dist import all_gather_object
    from mmengine.runner import Runner

    from equikpt.cli.launch import init_distributed, note_on_sigmas
    from equikpt.evaluation.presentation import Presented

    cfg, notes = _build_config(options)
    init_distributed(cfg, options.launcher)
    with tempfile.TemporaryDirectory(prefix="equikpt_") as scratch:
        prefix = str(Path(scratch) / "results")
        if options.out:
            coco = [each for each in _evaluators(cfg) if each.type == "CocoMetric"]
            _require(coco, cfg, "CocoMetric", "--out")
            coco[0].outfile_prefix = prefix
        runner = Runner.from_cfg(cfg)
        extras: dict[tuple, dict[str, list]] = {}
        if options.out:
            runner.register_hook(_extras_hook(extras))
        metrics = runner.test()
        gathered = all_gather_object(extras)
        if runner.rank != 0:
            return 0
        if options.out:
            results = Path(f"{prefix}.keypoints.json")
            every = {key: value for part in gathered for key, value in part.items()}
            _write_results(results, runner.test_dataloader.dataset, every, Path(options.out))
    made = [each for each in runner.test_evaluator.metrics if isinstance(each, Presented)]
    tables = [each for each in made if each.table is not None]
    lines = [line for each in tables if (text := each.summary()) for line in (text, "")]
    if written := _write(tables, options, Path(runner.log_dir)):
        lines += [*map(str, written), ""]
    lines += [*notes, ""] if notes else []
    width = max(map(len, metrics))
    lines += [f"{name:<{width}}  {value:8.3f}" for name, value in metrics.items()]
    if options.fit:
        lines += ["", _write_fit(cfg, runner)]
    lines += ["", *note_on_sigmas(cfg), "docs/numbers.md has the meaning of each"]
    if Path(options.config).is_dir():
        lines.append(f"next, a page of it: equikpt report {options.config}")
    print("\n".join(lines))
    return 0


def _extras_hook(extras: dict[tuple, dict[str, list]]) -> Any:
    """Hook that notes, by image and coordinates, what else a test says of an instance's points."""
    import numpy as np
    from mmengine.hooks import Hook

    from equikpt.apis.predictor import EXTRAS
    from equikpt.structures.pose_instance import output_scores

    class ExtrasHook(Hook):
        def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
            for sample in outputs or ():
                found = sample.get("pred_instances", {})
                names = {name: field for name, field in EXTRAS.items() if field in found}
                for index in range(len(found) if names else 0):
                    key = (sample.img_id, *np.ravel(found.keypoints[index]).tolist())
                    extras[key] = {
                        f"keypoint_{name}": _plain(found[field][index])
                        for name, field in names.items()
                    }
                    extras[key]["scores"] = output_scores(found)[index].tolist()

    return ExtrasHook()


def _plain(values: Any) -> list:
    """Rounded numbers for JSON; None for a radius that no number of labels could tell."""
    return [round(value, 4) if math.isfinite(value) else None for value in values.tolist()]


def _write_results(
    results: Path, dataset: Any, extras: dict[tuple, dict[str, list]], out: Path
) -> None:
    """Copy COCO results with ``extras``; keypoints that are not trained are all 0, "not labelled".

    ``keypoint_radius`` (px), ``keypoint_presence`` and ``keypoint_seen`` (K,) stand beside COCO's
    own keys, for models that have them; None for what is not trained.
    """
    import numpy as np

    from equikpt.metainfo.trained import trained_keypoints
    from equikpt_runtime.files import write_text

    trained = trained_keypoints(dataset.metainfo)
    rows = json.loads(results.read_bytes())
    for row in rows:
        points = np.reshape(row["keypoints"], (-1, 3))
        more = extras.get((row["image_id"], *np.ravel(points[:, :2]).tolist()), {})
        points[:, 2] = more.pop("scores", points[:, 2])
        for name, values in more.items():
            row[name] = [
                value if known else None for value, known in zip(values, trained, strict=True)
            ]
        row["keypoints"] = np.where(trained[:, None], points, 0).ravel().tolist()
    write_text(out, json.dumps(rows, indent=4, sort_keys=True))


def _write_fit(cfg: Config, runner: Any) -> str:
    """Write the fits of the test, and the features of training images, into its checkpoint."""
    from mmengine.runner.checkpoint import CheckpointLoader, save_checkpoint

    from equikpt.compat.strict_load import unwrap
    from equikpt.engine.training_features import training_features_of_config
    from equikpt.engine.uncertainty_hook import fitted_in
    from equikpt.structures.training_features import record_training_features
    from equikpt.structures.uncertainty import record_uncertainty

    checkpoint = Path(cfg.load_from).resolve()  # a link to it stays one
    content = CheckpointLoader.load_checkpoint(str(checkpoint), map_location="cpu")
    written, missing = [], []
    if (fit := fitted_in(runner.test_loop)) is not None:
        record_uncertainty(content, fit)
        written.append(f"radii and scores, fitted to {fit.source.partition(',')[0]}")
    try:
        features = training_features_of_config(cfg, unwrap(runner.model))
    except (OSError, ValueError) as error:
        missing.append(f"without the features of training images: {error}")
    else:
        record_training_features(content, features)
        written.append("features of the training images")
    if not written:
        raise ValueError(
            f"expected a top-down model, or its training images, for --fit, got {missing[0]}"
        )
    save_checkpoint(content, str(checkpoint))
    return "\n".join([f"written into {checkpoint}: {' and '.join(written)}", *missing])


def _write(metrics: Sequence, options: EvaluateOptions, folder: Path) -> list[Path]:
    """Tables and sheets that a metric always makes, and those that the options name."""
    from equikpt.core.tables import frame_text
    from equikpt_runtime.drawing import write_image
    from equikpt_runtime.files import write_text

    written = []
    for number, metric in enumerate(metrics):
        report = options.report if number == 0 else None
        if report or metric.table_file:
            written.append(Path(report or folder / metric.table_file))
            write_text(written[-1], frame_text(metric.table))
        if metric.sheet_file:
            written.append(Path(options.draw or folder / metric.sheet_file))
            write_image(written[-1], metric.sheet(options.draw_count))
    return written


def _build_config(options: EvaluateOptions) -> tuple[Config, list[str]]:
    """The config that ``options`` lead to, checked against what is on disk, and what was chosen."""
    from equikpt.cli import launch
    from equikpt.core.configs import strip_pretrained_init, work_dir_of
    from equikpt.core.project import find_checkpoint, shown
    from equikpt.evaluation.presentation import presented
    from equikpt_runtime.drawing import check_image_name
    from equikpt_runtime.files import refuse_existing

    for target in filter(None, (options.out, options.report, options.draw)):
        refuse_existing(Path(target), options.overwrite)
    changes = launch.parse_options(options.cfg_options)
    if "load_from" in changes:
        raise ValueError("expected the checkpoint after the config, got the option load_from")
    cfg = launch.load_config(options.config, changes)
    checkpoint = find_checkpoint(options.checkpoint or work_dir_of(cfg))
    launch.set_work_dir(cfg, options.work_dir)
    launch.set_data_root(cfg, options.data_root)
    note = launch.set_test_split(cfg, options.split, changes)
    launch.check_annotation_files(cfg, ("test",))
    cfg.load_from, cfg.resume = str(checkpoint), False
    strip_pretrained_init(cfg.model)
    if options.draw:
        check_image_name(options.draw)
    tables = [presented()[each.type] for each in _evaluators(cfg) if each.type in presented()]
    if options.report:
        _require(tables, cfg, " or ".join(presented()), "--report")
    if options.draw and not any(each.sheet_file for each in tables):
        sheet = dict(out_file=options.draw, num_instances=options.draw_count)
        cfg.custom_hooks = [*cfg.custom_hooks, dict(type="PredictionSheetHook", **sheet)]
    found = "" if str(checkpoint) == options.checkpoint else f"Tested: {shown(checkpoint)}"
    return cfg, [line for line in (found, note) if line]


def _evaluators(cfg: Config) -> list[Config]:
    evaluators = cfg.test_evaluator
    return list(evaluators) if isinstance(evaluators, (list, tuple)) else [evaluators]


def _require(metrics: Sequence, cfg: Config, names: str, flag: str) -> None:
    """Stop where an option needs a metric that the config has not."""
    if not metrics:
        raise ValueError(
            f"expected {names} in test_evaluator for {flag}, found "
            f"{', '.join(each.type for each in _evaluators(cfg))}; add it to the config"
        )
