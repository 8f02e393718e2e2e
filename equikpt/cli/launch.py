"""From a config and a command's options to a runner: the steps that several commands share."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import is_cuda_available
from mmengine.logging import print_log
from mmengine.registry import init_default_scope

from equikpt.compat.work_dir import check_resumable, newest_whole
from equikpt.config_checks.options import load_config, merge_options, parse_options
from equikpt.core.configs import backbone_inits, strip_pretrained_init, work_dir_of
from equikpt.core.project import find_work_dir
from equikpt_runtime.files import require_writable

__all__ = ["load_config", "merge_options", "parse_options"]  # which every command takes from here

SPLITS = ("train", "val", "test")


def build_model(cfg: Config) -> Any:
    """Build the model of a config, with the weights that it draws."""
    from mmpose.registry import MODELS

    init_default_scope(cfg.get("default_scope", "mmpose"))
    return MODELS.build(cfg.model)


def build_dataset(cfg: Config, split: str) -> Any:
    """Build the data set of ``train``, ``val`` or ``test``, without its pipeline."""
    from mmpose.registry import DATASETS

    init_default_scope(cfg.get("default_scope", "mmpose"))
    return DATASETS.build({**cfg[f"{split}_dataloader"].dataset, "pipeline": []})


def set_work_dir(cfg: Config, work_dir: str | None) -> Path:
    """Set where the run writes: the option, the config's own key, or ``work_dirs/<config>``.

    Raises:
        OSError: The folder cannot be written.
    """
    cfg.work_dir = str(work_dir_of(cfg)) if work_dir is None else work_dir
    require_writable(Path(cfg.work_dir))
    return Path(cfg.work_dir)


def set_data_root(cfg: Config, data_root: str | None) -> None:
    """Point every data set of the config to another folder."""
    if data_root is None:
        return
    for split in SPLITS:
        loader = cfg.get(f"{split}_dataloader")
        if loader is not None:
            loader.dataset.data_root = data_root


def set_test_split(cfg: Config, split: str | None, options: Iterable[str] = ()) -> str:
    """Test on another split: its annotations and images, with the test pipeline.

    Without a word on the split, and without annotations of a test set, on that of validation.

    Args:
        cfg: Changed in place.
        split: As named; None is the config's own.
        options: Keys of those that were merged into the config.

    Returns:
        A line on a split that nobody named; empty where there is none.
    """
    note = ""
    if split is None:
        missing, present = annotation_file(cfg, "test"), annotation_file(cfg, "val")
        is_named = any(key.startswith("test_dataloader") for key in options)
        if is_named or not missing or missing.is_file() or not (present and present.is_file()):
            return ""
        split = "val"
        note = f"There are no test annotations at {missing}: tested on validation, {present}."
    source, target = cfg[f"{split}_dataloader"].dataset, cfg.test_dataloader.dataset
    for key in ("ann_file", "data_prefix", "split_file", "split"):
        if key in source:
            target[key] = source[key]
    return note


def annotation_file(cfg: Config, split: str) -> Path | None:
    """Path of a split's annotations; None where the config has no such split, or names no file."""
    dataset = (cfg.get(f"{split}_dataloader") or {}).get("dataset") or {}
    name = dataset.get("ann_file")
    return Path(dataset.get("data_root") or "", name) if name else None


def check_annotation_files(cfg: Config, splits: Sequence[str]) -> None:
    """Look for the annotation files of ``splits`` before anything is built.

    Raises:
        FileNotFoundError: One is missing.
        ValueError: The config has no data of a split.
    """
    for split in splits:
        if cfg.get(f"{split}_dataloader") is None:
            raise ValueError(f"expected {split}_dataloader in the config, found none; add it")
        path = annotation_file(cfg, split)
        if path is not None and not path.is_file():
            raise FileNotFoundError(
                f"expected {split} annotations at {path}, found no such file; put them there, name "
                "the folder with --data-root, or make sample data with tools/make_sample_data.py"
            )


def bring_weights(cfg: Config, launcher: str = "none") -> None:
    """Fetch the released weights that a training starts from before anything is built.

    Of several processes the first does it, when they are loaded. A resumed run needs none.

    Raises:
        OSError, ValueError: They are not there and cannot be fetched, or need to be accepted.
    """
    from equikpt.checkpoints.zoo import SCHEME
    from equikpt.checkpoints.zoo_files import ask_on_terminal, bring

    inits = backbone_inits(cfg.model)
    named = [cfg.get("load_from"), *(each.get("checkpoint") for each in inits)]
    released = [str(each) for each in named if str(each).startswith(SCHEME)]
    if released and cfg.get("resume"):
        strip_pretrained_init(cfg.model)
    elif launcher == "none":
        for name in released:
            print_log(f"Starts from {bring(name, ask_on_terminal)}", "current")


def set_resume(cfg: Config, resume: str | None, overwrite: bool) -> None:
    """Resume from the newest whole checkpoint (``"auto"``) or a given one; refuse a used folder.

    In a folder without checkpoints ``"auto"`` starts at the beginning: so did the run that was
    stopped before its first one.

    Args:
        cfg: Config with ``work_dir`` set.
        resume: None, ``"auto"``, or the path of a checkpoint or of another run's folder.
        overwrite: Start anew in a folder that holds a run; see
            :func:`equikpt.compat.work_dir.clear`.

    Raises:
        FileNotFoundError: The given checkpoint does not exist, or none of the folder is whole.
        FileExistsError: The folder holds checkpoints and neither option was given.
        ValueError: The given checkpoint is damaged, or holds weights alone.
    """
    work_dir = Path(cfg.work_dir)
    if resume is not None and overwrite:
        raise ValueError(
            "expected either --resume, which goes on with a run, or --overwrite, which replaces "
            "it, got both"
        )
    if resume == "auto":
        newest = _newest(work_dir)
        where = newest or f"the beginning, since {work_dir} holds no checkpoint"
        print_log(f"Resuming from {where}", "current")
        cfg.resume = newest is not None
        if newest is not None:
            cfg.load_from = str(newest)
    elif resume is not None:
        found = _newest(find_work_dir(resume)) if Path(resume).is_dir() else Path(resume)
        if found is None or not found.is_file():
            raise FileNotFoundError(
                f"expected a checkpoint to resume from at {resume}, found none; give "
                "--resume alone to go on from the newest checkpoint of the work dir"
            )
        check_resumable(found)
        cfg.resume = True
        cfg.load_from = str(found)
    elif not overwrite and any(work_dir.glob("*.pth")):
        raise FileExistsError(
            f"expected a new folder for a new run, but {work_dir} holds checkpoints; go on with "
            "--resume, choose another --work-dir, or replace them with --overwrite"
        )


def set_aside(work_dir: Path, checkpoint: Path) -> Path:
    """Rename the folder of a run to the next free ``NAME_1``, ``NAME_2`` and so on.

    Args:
        work_dir: The folder.
        checkpoint: A file in it.

    Returns:
        Where the checkpoint is then.
    """
    number = 1
    while (kept := work_dir.with_name(f"{work_dir.name}_{number}")).exists():
        number += 1
    work_dir.rename(kept)
    print_log(f"The run that was here is kept in {kept}", "current")
    return kept / checkpoint.relative_to(work_dir)


def _newest(folder: Path) -> Path | None:
    """The checkpoint that a run goes on from; the log names newer ones that are damaged."""
    newest, passed_over = newest_whole(folder)
    for reason in passed_over:
        print_log(f"Passed over: {reason}", "current", logging.WARNING)
    return newest


def init_distributed(cfg: Config, launcher: str) -> None:
    """Set the launcher; on a machine without GPUs, start gloo and wrap the model for it.

    MMEngine's own start calls ``torch.cuda.set_device`` and passes ``device_ids``.

    Raises:
        ValueError: ``--launcher pytorch`` outside torchrun.
    """
    cfg.launcher = launcher
    if launcher == "none" or is_cuda_available():
        return
    if launcher != "pytorch":
        raise ValueError(
            f"expected --launcher pytorch on a machine without GPUs, got {launcher}; start the "
            "processes with torchrun (tools/dist_train.sh does)"
        )
    if "RANK" not in os.environ:
        raise ValueError(
            "expected the variables that torchrun sets (RANK, WORLD_SIZE, …), found none; start "
            "the run with tools/dist_train.sh CONFIG PROCESSES"
        )
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo")
    cfg.env_cfg.dist_cfg = dict(backend="gloo")
    cfg.model_wrapper_cfg = dict(type="MMDistributedDataParallel", device_ids=None)


def note_on_sigmas(cfg: Config) -> list[str]:
    """A sentence where the AP of a test has sigmas that nobody measured."""
    from equikpt.metainfo import read_keypoint_set

    path = (cfg.test_dataloader.dataset.get("metainfo") or {}).get("from_file")
    if not path or not Path(path).is_file():
        return []
    source = read_keypoint_set(path).get("sigmas_source") or "measured"
    if source.startswith("measured"):
        return []
    return [
        f"AP has the sigmas of {Path(path).name}, not all of which are measured: compare it with "
        "runs of the same file alone; errors in px and PCK have none."
    ]
