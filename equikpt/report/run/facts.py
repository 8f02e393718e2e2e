"""Settings, data, versions, machine and course of a run, as rows to read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from equikpt.report.run.run_folder import Run
from equikpt.report.run.run_state import plan_of
from equikpt.report.state_text import duration

Rows = list[tuple[str, str]]

SPLITS = {"train": "Training", "val": "Validation", "test": "Test"}


def settings(run: Run) -> Rows:
    """The keys of the config that matter most; what it does not have is left out."""
    get, plan = run.setting, plan_of(run)
    backbone, optimizer = get("model.backbone") or {}, get("optim_wrapper.optimizer") or {}
    size = get("model.head.decoder.input_size") or get("codec.input_size")
    weights = get("load_from") or (backbone.get("init_cfg") or {}).get("checkpoint")
    start = Path(str(weights)).name if weights else "random weights"
    if not weights and backbone.get("weights"):
        start = f"backbone's weights: {backbone['weights']}"
    model = (get("model.type"), backbone.get("model_name") or backbone.get("type"))
    rates = [
        f"{title} {optimizer[key]:g}"
        for key, title in (("lr", "rate"), ("weight_decay", "weight decay"), ("momentum", "moment"))
        if isinstance(optimizer.get(key), (int, float))
    ]
    tiers = get("optim_wrapper.paramwise_cfg.module_lr_mult") or {}
    frozen, batch = get("model.backbone.frozen_stages"), get("train_dataloader.batch_size")
    wrapper = get("optim_wrapper.type") or ""
    precision = (
        f"mixed ({get('optim_wrapper.dtype') or wrapper})" if "Amp" in wrapper else "float32"
    )
    length = f"{plan.max_steps} steps" if plan.max_steps is not None else ""
    averaging = run.hook("EMAHook")
    rows = {
        "Config": config_name(run),
        "Model": ", ".join(filter(None, (*model, get("model.head.type")))),
        "Input": f"{size[0]} × {size[1]} px" if size else "",
        "Starts from": start,
        "Loss": _types(get("model.head.loss")),
        "Optimizer": ", ".join(filter(None, (optimizer.get("type"), *rates))),
        "Rates by part": ", ".join(f"{name} × {value:g}" for name, value in tiers.items()),
        "Rate schedule": _types(get("param_scheduler")),
        "Frozen stages": str(frozen) if isinstance(frozen, int) and frozen >= 0 else "",
        "Batch": f"{batch} images" if batch is not None else "",
        "Planned length": length if plan.max_epochs is None else f"{plan.max_epochs} epochs",
        "Precision": precision,
        "Averaged weights": averaging.get("ema_type", "EMA") if averaging is not None else "",
    }
    return [(name, value) for name, value in rows.items() if value]


def config_name(run: Run) -> str:
    """The file that the run left in its folder, which has the config's own name."""
    beside = sorted(run.folder.glob("*.py"), key=lambda path: -path.stat().st_mtime)
    return beside[0].name if beside else ""


def course(run: Run) -> Rows:
    """When and how far it trained."""
    sessions = run.sessions
    seconds = float((sessions["end"] - sessions["begin"]).dt.total_seconds().sum())
    resumed = int(sessions["resumed"].sum())
    rows = [
        ("Begin", f"{sessions['begin'].iloc[0]:%Y-%m-%d %H:%M}"),
        ("End", f"{sessions['end'].iloc[-1]:%Y-%m-%d %H:%M}"),
        ("Duration", duration(seconds)),
        ("Starts", f"{len(sessions)}" + (f", {resumed} of them resumed" if resumed else "")),
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
    seed, facts = run.setting("randomness.seed"), {}
    if run.record is not None:
        facts = run.record.environment
        seed = run.record.seed if seed is None else seed
    exact = " (deterministic)" if run.setting("randomness.deterministic") else ""
    rows = {"Seed": "" if seed is None else f"{seed}{exact}"} | facts
    return [(name, value) for name, value in rows.items() if value]


def data_set(run: Run) -> list[dict[str, Any]]:
    """Count the labels of each split.

    Returns:
        A row a split: ``split``, ``file`` (the last two parts of its path, and the split within
        it), and as far as the file is at hand and says so ``images``, ``instances`` (annotations
        with a labelled keypoint), ``points`` (labelled) and ``hidden`` (those of them with
        visibility 1).
    """
    rows = []
    for split, title in SPLITS.items():
        dataset = run.setting(f"{split}_dataloader.dataset") or {}
        if dataset.get("ann_file"):
            root = Path(dataset.get("data_root") or "")
            inner = f" ({dataset['split']})" if dataset.get("split") else ""
            file = "/".join((root / dataset["ann_file"]).parts[-2:]) + inner
            rows.append(dict(split=title, file=file, **_counts(root, dataset)))
    return rows


def _counts(root: Path, dataset: Mapping[str, Any]) -> dict[str, int]:
    content = _read(root / dataset["ann_file"])
    if isinstance(content, list):  # Label Studio: a task an image
        return dict(images=len(content))
    if not content:
        return {}
    if dataset.get("split_file"):  # FSC-147: points of all splits in one file
        images = (_read(root / dataset["split_file"]) or {}).get(dataset.get("split"))
        if images is None:
            return {}
        points = sum(len(content.get(image, {}).get("points", ())) for image in images)
        return dict(images=len(images), points=points)
    if "images" not in content:
        return {}
    rows = (row.get("keypoints") or [] for row in content.get("annotations", ()))
    labelled = [[v for v in row[2::3] if v > 0] for row in rows]
    return dict(
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


def _types(value: Any) -> str:
    """Types of one part of the config, or of a list or dict of them."""
    if isinstance(value, Mapping):
        value = [value] if "type" in value else list(value.values())
    parts = value if isinstance(value, (list, tuple)) else []
    names = [part["type"] for part in parts if isinstance(part, Mapping) and "type" in part]
    return ", then ".join(dict.fromkeys(names))
