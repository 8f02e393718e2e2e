"""Settings, data, versions, machine and course of a run, as rows to read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from equikpt.report.run.run_folder import Run
from equikpt.report.run.run_plan import plan_of, setting

Rows = list[tuple[str, str]]

SPLITS = {"train": "training", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class SplitCount:
    """Counts of an annotation file.

    Args:
        split: ``training``, ``validation`` or ``test``.
        file: The last two parts of its path, and the split within it.
        images: None where the file is not at hand; the same for what its form does not tell.
        instances: Annotations with a labelled keypoint.
        points: That are labelled.
        hidden: Those of them that are labelled but not seen.
    """

    split: str
    file: str
    images: int | None = None
    instances: int | None = None
    points: int | None = None
    hidden: int | None = None


def settings(run: Run) -> Rows:
    """The keys of the config that matter most; what it does not have is left out."""
    plan = plan_of(run)
    batch = setting(run, "train_dataloader.batch_size")
    length = _of(plan.max_epochs, "epochs") or _of(plan.max_steps, "steps")
    frozen = setting(run, "model.backbone.frozen_stages")
    rows = [
        ("Config", config_name(run)),
        ("Model", _model(run)),
        ("Input", _size(run)),
        ("Starts from", _start(run)),
        ("Loss", _types(setting(run, "model.head.loss"))),
        ("Optimizer", _optimizer(run)),
        ("Rates by part", _tiers(run)),
        ("Rate schedule", _types(setting(run, "param_scheduler"))),
        ("Frozen stages", str(frozen) if isinstance(frozen, int) and frozen >= 0 else ""),
        ("Batch", _of(batch, "images")),
        ("Planned length", length),
        ("Precision", _precision(run)),
        ("Averaged weights", _averaging(run)),
    ]
    return [(name, value) for name, value in rows if value]


def config_name(run: Run) -> str:
    """The file that the run left in its folder, which has the config's own name."""
    beside = sorted(run.folder.glob("*.py"), key=lambda path: -path.stat().st_mtime)
    return beside[0].name if beside else ""


def course(run: Run) -> Rows:
    """When and how far it trained."""
    sessions = run.sessions
    seconds = float((sessions["end"] - sessions["begin"]).dt.total_seconds().sum())
    resumed = int(sessions["resumed"].sum())
    starts = f"{len(sessions)}, {resumed} of them resumed" if resumed else str(len(sessions))
    rows = [
        ("Begin", f"{sessions['begin'].iloc[0]:%Y-%m-%d %H:%M}"),
        ("End", f"{sessions['end'].iloc[-1]:%Y-%m-%d %H:%M}"),
        ("Duration", duration(seconds)),
        ("Starts", starts),
    ]
    if len(run.train):
        last = run.train.iloc[-1]
        rows.append(("Last logged step", f"{int(last['step']):,}".replace(",", " ")))
        if np.isfinite(last["epoch"]):
            rows.append(("Last epoch", f"{last['epoch']:.0f}"))
        if "time" in run.train:
            rows.append(("Time a step", f"{run.train['time'].median():.2f} s (median)"))
    return rows


def environment(run: Run) -> Rows:
    """Seed, machine and versions of the newest start."""
    record = run.record
    facts = record.environment if record is not None else {}
    return [(name, value) for name, value in (("Seed", _seed(run)), *facts.items()) if value]


def data_set(run: Run) -> list[SplitCount]:
    """Count the labels of each split; files that are not at hand have no counts."""
    counts = []
    for split, title in SPLITS.items():
        dataset = setting(run, f"{split}_dataloader.dataset")
        if dataset is not None and dataset.get("ann_file"):
            counts.append(_count(title, dataset))
    return counts


def duration(seconds: float) -> str:
    """``3 h 07 min``; under an hour minutes, under two minutes seconds."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def _count(title: str, dataset: Mapping[str, Any]) -> SplitCount:
    root = Path(dataset.get("data_root") or "")
    path, split = root / dataset["ann_file"], dataset.get("split")
    name = "/".join(path.parts[-2:]) + (f" ({split})" if split else "")
    content = _read(path)
    if isinstance(content, list):  # Label Studio: a task an image
        return SplitCount(title, name, images=len(content))
    if dataset.get("split_file"):  # FSC-147: points of all splits in one file
        images = (_read(root / dataset["split_file"]) or {}).get(split)
        if not content or images is None:
            return SplitCount(title, name)
        points = sum(len(content.get(image, {}).get("points", ())) for image in images)
        return SplitCount(title, name, images=len(images), points=points)
    if not content or "images" not in content:
        return SplitCount(title, name)
    rows = (row.get("keypoints") or [] for row in content.get("annotations", ()))
    labelled = [[v for v in row[2::3] if v > 0] for row in rows]
    return SplitCount(
        title,
        name,
        images=len(content["images"]),
        instances=sum(bool(row) for row in labelled),
        points=sum(map(len, labelled)),
        hidden=sum(row.count(1) for row in labelled),
    )


def _read(path: Path) -> Any:
    """The content of a JSON file, None where there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _model(run: Run) -> str:
    backbone = setting(run, "model.backbone") or {}
    name = backbone.get("model_name") or backbone.get("type", "")
    parts = [setting(run, "model.type"), name, setting(run, "model.head.type")]
    return ", ".join(part for part in parts if part)


def _size(run: Run) -> str:
    for key in ("model.head.decoder.input_size", "codec.input_size"):
        size = setting(run, key)
        if size:
            return f"{size[0]} × {size[1]} px"
    return ""


def _start(run: Run) -> str:
    load_from = setting(run, "load_from")
    backbone = setting(run, "model.backbone") or {}
    checkpoint = (backbone.get("init_cfg") or {}).get("checkpoint")
    if load_from or checkpoint:
        return Path(str(load_from or checkpoint)).name
    weights = backbone.get("weights")
    return f"backbone's weights: {weights}" if weights else "random weights"


def _optimizer(run: Run) -> str:
    optimizer = setting(run, "optim_wrapper.optimizer") or {}
    parts = [optimizer.get("type", "")]
    parts += [
        f"{title} {optimizer[key]:g}"
        for key, title in (("lr", "rate"), ("weight_decay", "weight decay"), ("momentum", "moment"))
        if isinstance(optimizer.get(key), (int, float))
    ]
    return ", ".join(part for part in parts if part)


def _tiers(run: Run) -> str:
    module_lr_mult = setting(run, "optim_wrapper.paramwise_cfg.module_lr_mult") or {}
    return ", ".join(f"{name} × {value:g}" for name, value in module_lr_mult.items())


def _precision(run: Run) -> str:
    wrapper = setting(run, "optim_wrapper.type") or ""
    dtype = setting(run, "optim_wrapper.dtype")
    return f"mixed ({dtype or wrapper})" if "Amp" in wrapper else "float32"


def _averaging(run: Run) -> str:
    hooks = setting(run, "custom_hooks") or []
    return next((h.get("ema_type", "EMA") for h in hooks if h.get("type") == "EMAHook"), "")


def _types(value: Any) -> str:
    """Types of one part of the config, or of a list or dict of them."""
    if isinstance(value, Mapping):
        parts: Iterable[Any] = [value] if "type" in value else value.values()
    else:
        parts = value if isinstance(value, (list, tuple)) else []
    names = [part["type"] for part in parts if isinstance(part, Mapping) and "type" in part]
    return ", then ".join(dict.fromkeys(names))


def _seed(run: Run) -> str:
    seed = setting(run, "randomness.seed")
    if seed is None and run.record is not None:
        seed = run.record.seed
    exact = " (deterministic)" if setting(run, "randomness.deterministic") else ""
    return "" if seed is None else f"{seed}{exact}"


def _of(count: int | None, unit: str) -> str:
    return f"{count} {unit}" if count is not None else ""
