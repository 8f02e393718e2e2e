"""The test of a run's checkpoint through the stock runner, with every prediction kept."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mmpose
import numpy as np
import pooch
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from tqdm import tqdm

import equikpt
from equikpt.core.configs import strip_pretrained_init
from equikpt.core.groups import GroupRule
from equikpt.report.evaluation import DRAWN, Evaluation, Sample, are_poses, parts_of

THRESHOLDS = (0.05, 0.1, 0.2)
"""Thresholds of PCK where the config's metrics have none."""
WRITES = ("out_file", "parts_file", "outfile_prefix")
"""Options of metrics that name a file."""


class PredictionCollector(Hook):
    """Keeps what a test predicts, and shows how far it is.

    Args:
        rule: Names the group of an image.
    """

    def __init__(self, rule: GroupRule) -> None:
        self.rule = rule

    def before_test_epoch(self, runner: Runner) -> None:
        """Begin anew."""
        self.samples: list[Sample] = []
        batches = len(runner.test_dataloader)
        self._bar = tqdm(total=batches, desc="testing", unit="batch", disable=None)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[PoseDataSample] | None = None,
    ) -> None:
        """Keep a batch, without the loss that an estimator may append as an element of its own."""
        predicted = (each for each in outputs or () if "pred_instances" in each)
        self.samples += [as_sample(each, self.rule) for each in predicted if "img_path" in each]
        self._bar.update()

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Close the bar."""
        self._bar.close()


def key_of(cfg: Config, checkpoint: Path) -> str:
    """Hash of the checkpoint, the labels, and the settings that a test depends on."""
    digest = hashlib.sha256(pooch.file_hash(checkpoint).encode())
    for name in ("model", "test_dataloader", "test_evaluator", "test_cfg"):
        digest.update(repr(cfg.get(name)).encode())
    labels = labels_of(cfg)
    if labels.is_file():
        digest.update(labels.read_bytes())
    return digest.hexdigest()


def labels_of(cfg: Config) -> Path:
    """The annotation file of the test."""
    dataset = cfg.test_dataloader.dataset
    return Path(dataset.get("data_root") or "", dataset.get("ann_file") or "")


def run_test(cfg: Config, checkpoint: Path) -> Evaluation:
    """Test a checkpoint as its config says; nothing is written into the run's folder.

    Args:
        cfg: With ``test_dataloader``, ``test_evaluator`` and ``test_cfg``.
        checkpoint: File.
    """
    key = key_of(cfg, checkpoint)
    rule, thresholds = _report_options(cfg)
    with tempfile.TemporaryDirectory(prefix="equikpt_report_") as scratch:
        runner = Runner.from_cfg(_aside(cfg, checkpoint, scratch))
        collector = PredictionCollector(rule)
        runner.register_hook(collector, priority="VERY_LOW")
        with contextlib.redirect_stdout(io.StringIO()):  # COCO's evaluation prints
            metrics = runner.test()
    dataset, samples = runner.test_dataloader.dataset, tuple(collector.samples)
    metainfo = dataset.metainfo
    meta = {name: _plain(metainfo[name]) for name in DRAWN if name in metainfo}
    names = [metainfo["keypoint_id2name"][index] for index in range(metainfo["num_keypoints"])]
    meta["names"] = names
    parts = None
    if samples and are_poses(samples, len(names)):
        parts = parts_of(samples, meta, thresholds, rule != GroupRule())
    tables = {
        type(each).__name__: each.table.reset_index(drop=True)
        for each in runner.test_evaluator.metrics
        if getattr(each, "table", None) is not None
    }
    return Evaluation(
        key=key,
        checkpoint=str(checkpoint),
        labels=str(labels_of(cfg)),
        images=dataset.data_prefix.get("img") or dataset.data_root,
        metrics={name: float(value) for name, value in metrics.items()},
        tables=tables,
        parts=parts,
        meta=meta,
        samples=samples,
        versions={each.__name__: str(each.__version__) for each in (equikpt, mmpose, torch)},
    )


def _aside(cfg: Config, checkpoint: Path, scratch: str) -> Config:
    """The config of a test that leaves no trace but its result: one process, quiet."""
    cfg = copy.deepcopy(cfg)
    cfg.work_dir = scratch
    cfg.load_from = str(checkpoint)
    cfg.resume = False
    cfg.launcher = "none"
    cfg.log_level = "WARNING"
    cfg.pop("model_wrapper_cfg", None)
    if cfg.get("visualizer"):
        # MMEngine keeps visualizers by name: that of an earlier test has a folder that is gone
        cfg.visualizer.update(name=scratch, vis_backends=[dict(type="LocalVisBackend")])
    for name, hook in list(cfg.get("default_hooks", {}).items()):
        if hook and hook.get("type") == "ProgressBarHook":  # the collector has its own
            del cfg.default_hooks[name]
    for evaluator in _evaluators(cfg):
        evaluator.update({option: None for option in WRITES if evaluator.get(option)})
    strip_pretrained_init(cfg.model)
    return cfg


def _report_options(cfg: Config) -> tuple[GroupRule, tuple[float, ...]]:
    """Read from the config's metrics how images are grouped, and the thresholds of PCK."""
    stated = {name: value for each in _evaluators(cfg) for name, value in each.items()}
    rule = GroupRule(stated.get("group_key", ""), stated.get("group_regex", ""))
    return rule, tuple(stated.get("pck_thresholds", THRESHOLDS))


def _evaluators(cfg: Config) -> Sequence[Config]:
    evaluators = cfg.test_evaluator
    return evaluators if isinstance(evaluators, (list, tuple)) else [evaluators]


def _plain(value: Any) -> Any:
    return np.asarray(value).tolist() if isinstance(value, (np.ndarray, list, tuple)) else value


def as_sample(sample: PoseDataSample, rule: GroupRule) -> Sample:
    """A data sample with predictions as numbers; annotations without a label are left out."""
    rows = sample.get("raw_ann_info") or []
    annotations = [rows] if isinstance(rows, dict) else list(rows)
    gts = [np.reshape(row["keypoints"], (-1, 3)) for row in annotations]
    labelled = [index for index, gt in enumerate(gts) if (gt[:, 2] > 0).any()]
    predicted = sample.pred_instances
    points = np.asarray(predicted.keypoints, float)[..., :2]
    boxed = all("bbox" in row and "area" in row for row in annotations)
    image = Path(sample.img_path).as_posix()
    return Sample(
        image=image,
        group=rule.group(image, annotations[0] if annotations else {}),
        predicted=points.round(3).tolist(),
        scores=np.asarray(predicted.keypoint_scores, float).round(6).tolist(),
        gt=[gts[index].astype(float).tolist() for index in labelled],
        boxes=[list(annotations[index]["bbox"]) for index in labelled] if boxed else [],
        areas=[float(annotations[index]["area"]) for index in labelled] if boxed else [],
        kinds=np.asarray(predicted.labels).tolist() if "labels" in predicted else [],
        radii=_radii(predicted),
    )


def _radii(predicted: InstanceData) -> list:
    """Radii (M, K); empty where there are none, or no finite one of this level."""
    radii = np.asarray(predicted.get("keypoint_radius", ()), float).round(3)
    return radii.tolist() if np.isfinite(radii).all() else []
