from __future__ import annotations

import contextlib
import errno
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equikpt.cli import options as declare
from equikpt.cli.options import ABOVE_0, number, option, whole

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
"""A full disk, a quota, a limit of file sizes, a read-only disk, no permission."""


@dataclass(frozen=True)
class TrainOptions(declare.Launched):
    """Train a keypoint model from a config file."""

    config: str = declare.config_argument()
    work_dir: str | None = declare.work_dir("where the run writes")
    data_root: str | None = declare.data_root()
    epochs: int | None = option(
        "length of the training; warm-up, phases, rate, validations and patience scale along",
        type=whole(1),
    )
    learning_rate: float | None = option(
        "full rate of the optimizer; warm-up, decay and rates by depth are relative to it",
        *("--learning-rate", "--lr", "--learning_rate"),
        type=number(ABOVE_0),
        metavar="RATE",
    )
    batch_size: int | None = option(
        "images of a step and process; the rate stays unless --auto-scale-lr",
        *("--batch-size", "--batch_size"),
        type=whole(1),
    )
    unlabelled: str | None = option(
        "learn from these images without labels too: a folder, or a COCO file with boxes",
        metavar="FOLDER|FILE.json",
    )
    from_scratch: bool = option(
        "start from random weights instead of the config's, and train all stages", default=False
    )
    resume: str | None = option(
        "go on from the work dir's newest whole checkpoint, or from that of another run, or a file",
        nargs="?",
        const="auto",
        metavar="FILE.pth|DIR",
    )
    overwrite: bool = option(
        "start anew in a work dir that holds a run, whose checkpoints are deleted", default=False
    )
    from_last: bool = option(
        "start from the best weights of the run in the work dir, which is kept as WORK_DIR_1",
        default=False,
    )
    amp: bool = option("mixed precision: float16 on a GPU, bfloat16 on a CPU", default=False)
    auto_scale_lr: bool = option("scale the learning rate with the total batch size", default=False)
    validate: bool = option("train without validation", default=True)
    verify: bool = option("do not look for mistakes in the labels first", default=True)
    seed: int | None = declare.seed("seed of everything random (default: 0)", default=None)
    deterministic: bool = option("same result on the same machine, slower", default=False)
    cfg_options: Sequence[str] | None = declare.cfg_options()


def main(argv: list[str] | None = None) -> int:
    """Train; 0 after the last epoch."""
    options = declare.parse(TrainOptions, argv)
    runner = train(options)
    if runner.rank == 0:
        work_dir = f" {runner.work_dir}" if options.work_dir else ""
        print(f"next: equikpt test {options.config}{work_dir}")
    return 0


def train(options: TrainOptions) -> Runner:
    """Train through the stock runner, and return it after its last epoch.

    Raises:
        FileNotFoundError: Config, annotations or checkpoint missing.
        FileExistsError: The work dir holds another run.
        ValueError: Options that do not fit the config or the machine.
    """
    from mmengine.dist import is_distributed, is_main_process
    from mmengine.runner import Runner

    from equikpt.cli import launch
    from equikpt.cli.launch import init_distributed
    from equikpt.compat import work_dir
    from equikpt.core import stopping

    cfg = build_config(options)
    if options.from_last:
        cfg.load_from = str(launch.set_aside(Path(cfg.work_dir), Path(cfg.load_from)))
    init_distributed(cfg, options.launcher)
    start = cfg.load_from if options.from_last else None
    stopping.advise(f"go on with: {resume_command(sys.argv, options.resume, start)}")
    if options.launcher == "none" or (is_distributed() and is_main_process()):
        work_dir.lock(Path(cfg.work_dir))  # where ranks are not known yet, the checkpoint hook does
    with disk_errors_as_sentences(cfg.work_dir):
        runner = Runner.from_cfg(cfg)
        if options.overwrite:
            _ = runner.train_loop  # nothing is deleted for a run that does not begin
        if options.overwrite and is_main_process():
            gone = work_dir.clear(Path(cfg.work_dir), keep=cfg.load_from)
            runner.logger.info(f"Deleted of the run that was here: {', '.join(gone) or 'nothing'}")
        runner.train()
    return runner


def resume_command(arguments: Sequence[str], resumed: str | None, start: str | None = None) -> str:
    """Return the command line that goes on with a run.

    Args:
        arguments: ``sys.argv`` of the tool that started it.
        resumed: Checkpoint that it was resumed from, as in its ``--resume``.
        start: Weights of the last run, which a run that was stopped before its first checkpoint
            starts from again.
    """
    again: list[str] = []
    for word in arguments:
        is_value = again[-1:] == ["--resume"] and word == resumed
        if word != "--overwrite" and not word.startswith("--resume=") and not is_value:
            again.append(word)
    again = [word for word in again if word not in ("--resume", "--from-last")]
    if start is not None:
        again += ["--cfg-options", f"load_from={start}"]
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return f"the command that started it and --resume ({shlex.join([*again, '--resume'])})"
    return shlex.join(["python", *again, "--resume"])


@contextlib.contextmanager
def disk_errors_as_sentences(folder: str) -> Iterator[None]:
    """Explain a full disk, or one that may not be written, wherever it shows in a run."""
    try:
        yield
    except OSError as error:
        elsewhere = (
            error.filename
            and Path(folder).resolve() not in Path(os.fsdecode(error.filename)).resolve().parents
        )
        if error.errno not in DISK_ERRORS or elsewhere:
            raise
        raise type(error)(
            f"the run cannot write to its work dir {folder}: {error.strerror}; checkpoints are "
            "whole: make room, then go on with --resume"
        ) from error


def build_config(options: TrainOptions) -> Config:
    """Return the config that ``options`` lead to, checked against what is on disk."""
    from mmengine.logging import print_log

    from equikpt.cli import launch
    from equikpt.core.project import find_checkpoint
    from equikpt.engine.amp import enable_amp
    from equikpt.engine.stages import refuse_frozen_random_weights, start_from_scratch
    from equikpt.engine.unlabelled_images import usable_images

    if options.from_last:
        refuse_with_from_last(options)
    cfg = launch.load_config(options.config, changes_of(options), options.epochs)
    if options.from_scratch:
        keys = ", ".join(start_from_scratch(cfg))
        print_log(f"From random weights, all stages: without the config's {keys}", "current")
    launch.set_work_dir(cfg, options.work_dir)
    launch.set_data_root(cfg, options.data_root)
    if not options.validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        # what watches the validation metric has nothing to watch
        cfg.default_hooks.checkpoint.save_best = None
        cfg.default_hooks.pop("early_stopping", None)
        cfg.custom_hooks = [h for h in cfg.custom_hooks if h.type != "EarlyStoppingHook"]
    if cfg.get("load_from") and Path(cfg.load_from).is_dir():
        cfg.load_from = str(find_checkpoint(cfg.load_from))
    if options.from_last:
        cfg.load_from = str(find_checkpoint(cfg.work_dir))
    launch.set_resume(cfg, options.resume, options.overwrite or options.from_last)
    if options.amp:
        enable_amp(cfg)
    if options.auto_scale_lr:
        if cfg.get("auto_scale_lr") is None:
            raise ValueError(
                "expected auto_scale_lr=dict(base_batch_size=…) in the config for --auto-scale-lr, "
                "found none; add the batch size that its learning rate was chosen for"
            )
        cfg.auto_scale_lr.enable = True
    if options.seed is not None:
        cfg.randomness.seed = options.seed
    if options.deterministic:
        cfg.randomness.deterministic = True
    phases = [hook for hook in cfg.default_hooks.values() if hook and "phases" in hook]
    if not any(hook.get("random_weights") for hook in phases):
        refuse_frozen_random_weights(cfg)
    splits = ("train", "val") if options.validate else ("train",)
    launch.check_annotation_files(cfg, splits)
    if options.unlabelled is not None:
        set_unlabelled(cfg, options.unlabelled)
        if options.overwrite or options.from_last:  # before the run that is here makes way
            usable_images(options.unlabelled, cfg)
    launch.bring_weights(cfg, options.launcher)
    if options.verify:
        warn_of_labels(cfg, splits)
    return cfg


def refuse_with_from_last(options: TrainOptions) -> None:
    """Raise ``ValueError`` for options that say something else about where to start."""
    others = dict(
        resume=options.resume is not None,
        overwrite=options.overwrite,
        from_scratch=options.from_scratch,
        launcher=options.launcher != "none",
    )
    for name, is_given in others.items():
        if is_given:
            raise ValueError(
                f"expected --from-last without --{name.replace('_', '-')}; leave one out"
            )


def set_unlabelled(cfg: Config, source: str) -> None:
    """Have the run learn from unlabelled images, after a look at both.

    Raises:
        FileNotFoundError, ValueError: There are none, or the model cannot.
    """
    from equikpt.engine.unlabelled import check_config
    from equikpt.engine.unlabelled_images import list_unlabelled

    check_config(cfg)
    list_unlabelled(source)
    hook = cfg.default_hooks.setdefault("unlabelled", {})
    hook.update(type="UnlabelledHook", source=str(Path(source).resolve()))


def changes_of(options: TrainOptions) -> dict[str, Any]:
    """Return the keys of the config that options change, those with a name of their own as well.

    Raises:
        ValueError: Two options for one key.
    """
    from equikpt.cli.launch import parse_options

    changes = parse_options(options.cfg_options)
    rates = {
        "--learning-rate": ("optim_wrapper.optimizer.lr", options.learning_rate),
        "--batch-size": ("train_dataloader.batch_size", options.batch_size),
    }
    named = {flag: each for flag, each in rates.items() if each[1] is not None}
    scratch = {"--from-scratch": ("load_from", None)} if options.from_scratch else {}
    for flag, (key, _) in {**named, **scratch}.items():
        if key in changes:
            raise ValueError(f"expected {flag} or {key}, got both; leave one out")
    return {**changes, **dict(named.values())}


def warn_of_labels(cfg: Config, splits: Sequence[str]) -> None:
    """Log the errors that the quick part of ``tools/verify_dataset.py`` finds in COCO labels.

    A warning: what makes a training impossible stops it when its data set is built.
    """
    from mmengine.logging import MMLogger
    from mmpose.registry import DATASETS

    from equikpt.core.label_studio import is_list
    from equikpt.data_tools.verify.run import first_errors, verify_quickly
    from equikpt.datasets.checked_coco import CheckedCocoDataset

    for split in splits:
        dataset = cfg[f"{split}_dataloader"].dataset
        kind = DATASETS.get(dataset.type)
        path = Path(dataset.get("data_root") or "", dataset.get("ann_file", ""))
        if kind is None or not issubclass(kind, CheckedCocoDataset) or is_list(path):
            continue
        issues = verify_quickly([path])
        if dataset.get("area_from_bbox"):  # then areas are not needed
            issues = [i for i in issues if i.code not in ("no_area", "area_not_positive")]
        if errors := first_errors(issues):
            MMLogger.get_current_instance().warning(
                f"{path}: {errors} - see tools/verify_dataset.py, or --no-verify"
            )
