"""A training of milliseconds with everything that has state, which can be stopped at any point."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from equikpt.cli import launch
from equikpt.compat.work_dir import read_top

SCORES = (0.2, 0.5, 0.4, 0.5, 0.6, 0.55, 0.3, 0.2, 0.1, 0.05)
"""By epoch: a plateau with a tie, a new best, and a fall that early stopping ends at epoch 8."""


COUNT = count()


class Killed(BaseException):
    """As a signal that cannot be handled: no ``except Exception`` sees it."""


class Toy(BaseModel):
    """A layer, a batch norm with statistics, and dropout, which draws random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 1))

    def forward(self, inputs, targets, mode="tensor"):
        outputs = self.net(inputs)
        return {"loss": (outputs - targets).square().mean()} if mode == "loss" else [outputs]


class Points(torch.utils.data.Dataset):
    """Eight fixed points; the metainfo holds every kind of array that MMPose's holds."""

    metainfo = {
        "sigmas": np.full(3, 0.025, dtype=np.float32),
        "keypoint_colors": np.zeros((3, 3), dtype=np.uint8),
        "flip_indices": [0, 2, 1],
        "scale": np.float32(1.25),
        "names": {0: "nose"},
    }

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int):
        generator = torch.Generator().manual_seed(index)
        return torch.randn(3, generator=generator), torch.randn(1, generator=generator)


class Scripted(BaseMetric):
    """The score of the epoch, whatever was predicted; and one that depends on the weights."""

    runner: Runner

    def process(self, data_batch, data_samples) -> None:
        self.results.append(float(data_samples[0].mean()))

    def compute_metrics(self, results) -> dict[str, float]:
        place = self.runner.epoch if self.runner.max_epochs > 1 else self.runner.iter // 2
        return {"score": SCORES[place - 1], "mean": sum(results)}


@dataclass
class Course:
    """What a training did.

    Args:
        rates: Rate of each step that counts: a step that was trained again has its later one.
        validated: Score and mean output by epoch.
        killed: Whether it was stopped.
    """

    rates: dict[int, float] = field(default_factory=dict)
    validated: dict[int, dict] = field(default_factory=dict)
    killed: bool = False


def never(event: str, count: int) -> bool:
    """Stop nowhere."""
    return False


def at(event: str, number: int) -> Callable[[str, int], bool]:
    """Stop when an event is reached for the n-th time."""
    return lambda reached, count: (reached, count) == (event, number)


class Recorder(Hook):
    """Write the course, and stop where ``stop(event, count)`` says so."""

    priority = "LOWEST"

    def __init__(self, course: Course, stop: Callable[[str, int], bool]) -> None:
        self.course, self.stop, self.counts = course, stop, {}

    def _reach(self, event: str) -> None:
        self.counts[event] = self.counts.get(event, 0) + 1
        if self.stop(event, self.counts[event]):
            raise Killed

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        self.course.rates[runner.iter] = runner.optim_wrapper.get_lr()["lr"][0]
        self._reach("step")

    def after_train_epoch(self, runner) -> None:
        self._reach("epoch saved")

    def before_val_iter(self, runner, batch_idx, data_batch=None) -> None:
        self._reach("validation batch")

    def after_val_epoch(self, runner, metrics=None) -> None:
        self.course.validated[runner.epoch or runner.iter] = dict(metrics)
        self._reach("validated")

    def after_val(self, runner) -> None:
        self._reach("validation saved")


def config(folder: Path, scheduler: list[dict], **options) -> Config:
    """The config of a run; ``options`` are merged in."""
    best = dict(monitor="score", rule="greater")
    data = dict(
        batch_size=4,
        num_workers=0,
        sampler=dict(type="DefaultSampler", shuffle=True),
        collate_fn=dict(type="default_collate"),
    )
    cfg = Config(
        dict(
            work_dir=str(folder),
            default_scope="mmpose",
            model=dict(),
            train_dataloader=data,
            val_dataloader=dict(data, sampler=dict(type="DefaultSampler", shuffle=False)),
            train_cfg=dict(by_epoch=True, max_epochs=10, val_interval=1),
            val_cfg=dict(),
            optim_wrapper=dict(optimizer=dict(type="AdamW", lr=0.1)),
            param_scheduler=scheduler,
            default_hooks=dict(
                checkpoint=dict(
                    type="AtomicCheckpointHook",
                    interval=1,
                    save_best="score",
                    rule="greater",
                    max_keep_ckpts=2,
                ),
                logger=dict(type="LoggerHook", interval=100),
                validation_state=dict(type="ValidationStateHook"),
                top_k=dict(type="TopKCheckpointHook", k=3, **best),
                early_stopping=dict(type="EarlyStoppingHook", min_delta=0.01, patience=3, **best),
            ),
            custom_hooks=[
                dict(type="EpochSeedHook"),
                dict(type="EMAHook", update_buffers=True, priority="ABOVE_NORMAL"),
            ],
            randomness=dict(seed=0),
            log_level="ERROR",
            load_from=None,
            resume=False,
        ),
        format_python_code=False,
    )
    cfg.merge_from_dict(options)
    return cfg


def build(cfg: Config, *hooks: Hook) -> Runner:
    """The runner of a config, with more hooks."""
    import equikpt.register  # noqa: F401

    torch.manual_seed(0)
    metric = Scripted()
    built = dict(cfg.to_dict(), model=Toy(), val_evaluator=Evaluator([metric]), cfg=cfg)
    for split in ("train", "val"):
        built[f"{split}_dataloader"] = dict(built[f"{split}_dataloader"], dataset=Points())
    built["custom_hooks"] = [*built["custom_hooks"], *hooks]
    metric.runner = Runner(**built, experiment_name=f"run_{next(COUNT)}")  # hubs are kept by name
    return metric.runner


def train(cfg: Config, course: Course, stop: Callable[[str, int], bool]) -> Runner | None:
    """Train until the end or until ``stop``; what was written before then is there."""
    course.killed = False
    try:
        runner = build(cfg, Recorder(course, stop))
        runner.train()
    except Killed:
        course.killed = True
        return None
    return runner


def resume(cfg: Config, course: Course, stop: Callable[[str, int], bool]) -> Runner | None:
    """As ``tools/train.py --resume``."""
    cfg = cfg.copy()
    launch.set_resume(cfg, "auto", overwrite=False)
    return train(cfg, course, stop)


def outcome(runner: Runner, course: Course) -> dict:
    """All that a resumed run shares with the uninterrupted one."""
    folder = Path(runner.work_dir)
    files = {path.name for path in folder.iterdir() if path.is_file() and path.suffix != ".py"}
    newest = (folder / "last_checkpoint").read_text()
    states: dict[str, dict] = {}
    infos: dict[str, dict] = {}
    for name in sorted(name for name in files if name.endswith(".pth")):
        saved = torch.load(folder / name, weights_only=False)
        parts = ("state_dict", "ema_state_dict", "optimizer", "param_schedulers")
        states[name] = _plain({part: saved[part] for part in parts if part in saved})
        if "optimizer" in saved:  # the others hold weights, to which nothing is added later
            info = saved["message_hub"]["runtime_info"]
            kept = {
                key: Path(value).name if "_ckpt" in key and key != "keep_ckpt_ids" else value
                for key, value in info.items()
                if key.startswith(("best_", "last_ckpt", "keep_ckpt_ids", "top_"))
            }
            infos[name] = kept | saved["validation"]
    return dict(
        steps=runner.iter,
        rates=course.rates,
        validated=course.validated,
        files=files,
        newest=Path(newest).name,
        top=read_top(folder),
        links={path.name: os.readlink(path) for path in folder.iterdir() if path.is_symlink()},
        infos=infos,
        states=states,
    )


def _plain(value: Any) -> Any:
    """Nested content without tensors, so that it can be compared to the last bit."""
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value
