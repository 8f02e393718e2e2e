"""Runs with known curves: work dirs as MMEngine writes them, and the same made in memory."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mmengine.config import Config

from equikpt.engine.run_record import RunRecord, StartRecord, read_record, write_record
from equikpt.report.run.run_folder import Checkpoints, Run
from equikpt.report.run.run_state import State, state_of

PER_EPOCH = 20
INTERVAL = 10


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
    record: bool = True,
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
        record: Whether to add it to ``run.json``.
        step_s: Seconds a step; a validation takes as long as 5.

    Returns:
        The start's folder.
    """
    folder = work_dir / begin
    (folder / "vis_data").mkdir(parents=True)
    before = epochs_before * PER_EPOCH
    start = StartRecord(begin, resumed_step=before, step=before, steps_per_epoch=PER_EPOCH, seed=0)
    rows: list[dict] = []
    for index, loss in enumerate(losses):
        start.step = before + (index + 1) * INTERVAL
        start.seconds += INTERVAL * step_s
        epoch, inner = (start.step - 1) // PER_EPOCH + 1, (start.step - 1) % PER_EPOCH + 1
        start.loop, start.position = "train", (inner, PER_EPOCH)
        start.longest_gaps_s = [INTERVAL * step_s] * 2
        rows.append(
            dict(lr=0.004, data_time=0.01 * step_s, loss=loss, time=step_s, epoch=epoch,
                 iter=start.step, step=start.step)
        )  # fmt: skip
        if val and inner == PER_EPOCH and epoch in val:
            began_s = start.seconds
            start.seconds += 5 * step_s
            start.validations.append((start.step, began_s, start.seconds))
            start.loop, start.position = "val", (8, 8)
            rows.append(dict(val[epoch], data_time=0.1, time=0.5, step=epoch))
    (folder / "vis_data" / "scalars.json").write_text("".join(json.dumps(r) + "\n" for r in rows))
    if record:
        write_record(work_dir, RunRecord([*read_record(work_dir).starts, start]))
    if cfg is not None:
        cfg.dump(folder / "vis_data" / "config.py")
    return folder


def change_record(work_dir: Path, **changes: Any) -> None:
    """Change what ``run.json`` says of the newest start."""
    record = read_record(work_dir)
    for name, value in changes.items():
        setattr(record.starts[-1], name, value)
    write_record(work_dir, record)


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
        dict(step=steps, epoch=epochs + 1.0, iter=steps, wall_s=steps + val_s * epochs)
    )
    if len(losses):
        scalars = dict(loss=losses, lr=0.004, time=1.0, data_time=0.01) | logged
        train = train.assign(**scalars)
    count = max([len(val_losses), *(len(column) for column in (metrics or {}).values())])
    done = np.arange(1, count + 1)
    columns = dict(metrics or {}) | (dict(val_loss=val_losses) if len(val_losses) else {})
    val = pd.DataFrame(
        dict(epoch=done.astype(float), step=done * PER_EPOCH,
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
        record=StartRecord("start", steps_per_epoch=PER_EPOCH, position=(1, PER_EPOCH)),
        steps_per_epoch=PER_EPOCH,
        active_s=0.0,
    )
    return state_of(run, now_s=silent_s)
