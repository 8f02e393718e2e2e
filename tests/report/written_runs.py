"""Runs with known curves: work dirs as MMEngine writes them, and the same made in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mmengine.config import Config

from equikpt.report.run.run_folder import Checkpoints, Run
from equikpt.report.run.run_log import RunLog
from equikpt.report.run.run_state import State, state_of

PER_EPOCH = 20
INTERVAL = 10
STAMP = "%Y%m%d_%H%M%S"


def config(max_epochs: int = 100, **changes: Any) -> Config:
    """A config of a run that is validated after each epoch, logs no means."""
    return Config(
        dict(
            train_cfg=dict(by_epoch=True, max_epochs=max_epochs, val_interval=1),
            train_dataloader=dict(batch_size=4, num_workers=2),
            val_dataloader=dict(batch_size=4),
            log_processor=dict(type="LogProcessor", window_size=1),
            optim_wrapper=dict(optimizer=dict(type="AdamW", lr=0.004, weight_decay=0.05)),
            default_hooks=dict(
                checkpoint=dict(type="CheckpointHook", save_best="val_loss", rule="less"),
                logger=dict(type="LoggerHook", interval=INTERVAL),
            ),
        )
        | changes
    )


def write_start(
    work_dir: Path,
    losses: Sequence[float],
    val: Mapping[int, Mapping[str, float]] | None = None,
    begin: str = "20260101_100000",
    epochs_before: int = 0,
    cfg: Config | None = None,
    log: bool = True,
    step_s: float = 1.0,
) -> Path:
    """Write a start with a row of training each 10 of 20 steps, a validation after some epochs.

    Args:
        work_dir: Where to.
        losses: One a row.
        val: Metrics by epoch, counted from 1.
        begin: Name of the start's folder.
        epochs_before: Epochs of earlier starts that it resumes after.
        cfg: Its dumped config.
        log: Whether to write the text log.
        step_s: Seconds a step; a validation takes as long as 5.

    Returns:
        The start's folder.
    """
    folder = work_dir / begin
    (folder / "vis_data").mkdir(parents=True)
    now = datetime.strptime(begin, STAMP)
    rows: list[dict] = []
    lines: list[str] = []

    def say(words: str) -> None:
        lines.append(f"{now:%Y/%m/%d %H:%M:%S} - mmengine - INFO - {words}\n")

    say("Config:\nmodel = dict()")
    if epochs_before:
        say(f"resumed epoch: {epochs_before}, iter: {epochs_before * PER_EPOCH}")
    left = list(losses)
    epoch = epochs_before
    while left:
        epoch += 1
        for inner in range(INTERVAL, PER_EPOCH + 1, INTERVAL):
            if not left:
                break
            now += timedelta(seconds=INTERVAL * step_s)
            step = (epoch - 1) * PER_EPOCH + inner
            rows.append(
                dict(lr=0.004, data_time=0.01 * step_s, loss=left.pop(0), time=step_s, epoch=epoch,
                     iter=step, step=step)
            )  # fmt: skip
            say(f"Epoch(train)  [{epoch}][{inner}/{PER_EPOCH}]  lr: 4e-03  loss: 1.0")
            if inner < PER_EPOCH:
                continue
            say(f"Saving checkpoint at {epoch} epochs")
            if val and epoch in val:
                say(f"Epoch(val)  [{epoch}][8/8]    eta: 0:00:00  time: 0.5  data_time: 0.1  ")
                now += timedelta(seconds=5 * step_s)
                rows.append(dict(val[epoch], data_time=0.1, time=0.5, step=epoch))
                say(f"Epoch(val)  [{epoch}][8/8]    metric: 1.0  time: 0.5")
    (folder / "vis_data" / "scalars.json").write_text("".join(json.dumps(r) + "\n" for r in rows))
    if log:
        (folder / f"{begin}.log").write_text("".join(lines))
    if cfg is not None:
        cfg.dump(folder / "vis_data" / "config.py")
    return folder


def made_state(
    losses: Sequence[float],
    val_losses: Sequence[float] = (),
    cfg: Config | None = None,
    silent_s: float = 0.0,
    val_s: float = 1.0,
    metrics: Mapping[str, Sequence[float]] | None = None,
    **logged: Any,
) -> State:
    """The state of a run in memory: two rows an epoch, a validation after each.

    Args:
        losses: Of the rows.
        val_losses: Of the validations.
        cfg: The config; None: :func:`config`.
        silent_s: Seconds since the last line.
        val_s: Seconds a validation takes; a step takes one.
        metrics: Other metrics of the validations.
        logged: Other columns of the rows.
    """
    steps = np.arange(1, len(losses) + 1) * INTERVAL
    epochs = (steps - 1) // PER_EPOCH
    train = pd.DataFrame(
        dict(step=steps, epoch=epochs + 1.0, iter=steps, at=pd.NaT, wall_s=steps + val_s * epochs)
    )
    if len(losses):
        scalars = dict(loss=losses, lr=0.004, time=1.0, data_time=0.01) | logged
        train = train.assign(**scalars)
    count = max([len(val_losses), *(len(column) for column in (metrics or {}).values())])
    done = np.arange(1, count + 1)
    columns = dict(metrics or {}) | (dict(val_loss=val_losses) if len(val_losses) else {})
    val = pd.DataFrame(
        dict(epoch=done.astype(float), step=done * PER_EPOCH, at=pd.NaT,
             wall_s=done * (PER_EPOCH + val_s)) | columns
    )  # fmt: skip
    last = int(steps[-1]) if len(steps) else 0
    start = ("start", datetime(2026, 1, 1), datetime(2026, 1, 2), last, last, False)
    run = Run(
        folder=Path("run"),
        name="run",
        config=config() if cfg is None else cfg,
        train=train,
        val=val,
        sessions=pd.DataFrame(
            [start], columns=["folder", "begin", "end", "last_step", "steps", "resumed"]
        ),
        checkpoints=Checkpoints(None, (), ()),
        log=RunLog(steps_per_epoch=PER_EPOCH, place=("train", 1, PER_EPOCH)),
        steps_per_epoch=PER_EPOCH,
        active_s=0.0,
    )
    return state_of(run, now_s=silent_s)
