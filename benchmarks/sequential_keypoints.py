r"""Keypoints one after another against heatmaps, and what earlier points do for later ones.

    python benchmarks/sequential_keypoints.py PROJECT [--epochs 12] [--seeds 0] [--size 128] \
        [--arms heatmaps sequential half never]

PROJECT is a folder of `equikpt init` for EfficientNet-Lite0. All arms have its images, backbone,
start weights and frozen stages, crops of --size px, mild augmentation and the same epochs. In
`half` and `never`, half of the images and none have the points before a step given in training. Of
one model the same steps are tested in several ways: given the points that it found itself (as in
use), the labelled ones, or none. Finished runs are kept under --out.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import given_points  # noqa: F401
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, MODELS
from runs import REPO, threads_each, train
from tqdm import tqdm

from equikpt.compat.strict_load import load_weights
from equikpt.config_checks.options import load_config
from equikpt.evaluation.functional import box_side_px, distances_px

SEQUENTIAL = "experimental/sequential_efficientnet-lite0_horse26-256x256"
GIVEN = dict(sequential=1.0, half=0.5, never=0.0)
BATCH = 31
HIDDEN, SEEN = 1, 2


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path)
    parser.add_argument("--arms", nargs="+", default=["heatmaps", *GIVEN])
    parser.add_argument("--epochs", type=int, nargs="+", default=[12])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--size", type=int, default=128, help="side of the input, px")
    parser.add_argument("--out", type=Path, default=REPO / "work_dirs" / "sequential_keypoints")
    return parser.parse_args(argv)


def config_for(args: argparse.Namespace, arm: str, epochs: int, seed: int) -> Config:
    project = load_config(str(args.project))
    cfg = project if arm == "heatmaps" else sequential_config(project, arm, args.size)
    if arm == "heatmaps":
        sizes = dict(input_size=(args.size,) * 2, heatmap_size=(args.size // 8,) * 2)
        loaders = [cfg[f"{split}_dataloader"].dataset.codec for split in ("train", "val", "test")]
        for codec in (cfg.model.head.decoder, *loaders):
            codec.update(sizes)
        cfg.train_dataloader.dataset.pipeline = cfg.mild_pipeline
    cfg.randomness.seed = seed
    cfg.train_cfg.update(max_epochs=epochs, val_interval=epochs, val_begin=1)
    warm_up, cosine = cfg.param_scheduler
    warm_up.end, cosine.begin, cosine.end = max(1, epochs // 10), epochs // 2, epochs
    cfg.default_hooks.checkpoint.update(interval=epochs, max_keep_ckpts=1, save_best=None)
    for name in ("early_stopping", "images", "training_features", "uncertainty"):
        cfg.default_hooks.pop(name, None)
    cfg.train_dataloader.update(batch_size=16, num_workers=1)
    cfg.visualizer.vis_backends = [dict(type="LocalVisBackend")]
    return cfg


def sequential_config(project: Config, arm: str, size: int) -> Config:
    """The shipped sequential config with the data and the frozen stages of a project."""
    cfg = load_config(SEQUENTIAL)
    count = project.model.head.out_channels
    codec = dict(cfg.codec, input_size=(size, size), max_points=count)
    cfg.model.head.update(max_points=count, decoder=codec)
    if arm != "sequential":
        cfg.model.head.update(type="GivenPointsHead", given_prob=GIVEN[arm])
        cfg.custom_imports.imports = [*cfg.custom_imports.imports, "given_points"]
    cfg.model.backbone.frozen_stages = project.model.backbone.frozen_stages
    cfg.optim_wrapper.paramwise_cfg.frozen_stages = project.model.backbone.frozen_stages
    for split in ("train", "val", "test"):
        target = cfg[f"{split}_dataloader"].dataset
        source = project[f"{'train' if split == 'train' else 'val'}_dataloader"].dataset
        for key in ("type", "data_root", "metainfo", "ann_file", "data_prefix"):
            target[key] = source[key]
        target.codec = codec
    loaded = [*project.mild_geometry, project.crop, dict(type="DropOutsideKeypoints")]
    cfg.train_dataloader.dataset.pipeline = [*loaded, *cfg.pack]
    cfg.val_evaluator = [dict(type="CocoMetric"), dict(type="KeypointMetric")]
    return cfg


@torch.no_grad()
def predictions(cfg: Config, weights: Path) -> tuple[dict[str, np.ndarray], list[Any]]:
    """Keypoints (N, K, 2) in px of the image in each way, and the samples' annotations."""
    init_default_scope("mmpose")
    model = MODELS.build(cfg.model)
    load_weights(model, str(weights))
    model.eval()
    data = DATASETS.build(cfg.val_dataloader.dataset)
    found: dict[str, list[np.ndarray]] = {}
    rows = []
    for start in range(0, len(data), BATCH):
        items = [data[index] for index in range(start, min(len(data), start + BATCH))]
        rows += [item["data_samples"].raw_ann_info for item in items]
        batch = model.data_preprocessor(pseudo_collate(items), False)
        for name, points in ways(model, batch["inputs"], batch["data_samples"]).items():
            found.setdefault(name, []).append(points)
    return {name: np.concatenate(parts) for name, parts in found.items()}, rows


def ways(model: Any, inputs: torch.Tensor, samples: list) -> dict[str, np.ndarray]:
    head = model.head
    if not hasattr(head, "attention"):
        model.predict(inputs, samples)  # adds them to the samples
        return dict(heatmaps=np.stack([each.pred_instances.keypoints[0] for each in samples]))
    feats = model.extract_feat(inputs)
    points = torch.cat([each.gt_instance_labels.points for each in samples]).float()
    valid = torch.cat([each.gt_instance_labels.points_valid for each in samples]).float()
    steps = slice(points.shape[1])
    normalised = {
        "its own": head.forward(feats)[0],
        "labelled": head.attention(feats[-1], points, valid).coords[:, steps],
        "none": head.attention(feats[-1], points, 0 * valid).coords[:, steps],
    }
    scales, centers = (
        np.stack([each.metainfo[name] for each in samples])[:, None]
        for name in ("input_scale", "input_center")
    )
    return {name: each.numpy() / 2 * scales + centers for name, each in normalised.items()}


def scores(found: np.ndarray, rows: list[Any]) -> dict[str, float]:
    """PCK of all points, and of seen and hidden ones their PCK@0.05 and mean error of the box."""
    gt = np.array([row["keypoints"] for row in rows], float).reshape(*found.shape[:2], 3)
    sides = box_side_px(np.array([row["bbox"] for row in rows], float))
    errors = distances_px(found, gt[..., :2], gt[..., 2]) / sides[:, None]
    labelled = errors[np.isfinite(errors)]
    values = {f"PCK@{limit:g}": (labelled <= limit).mean() for limit in (0.05, 0.1)}
    for name, visibility in (("seen", SEEN), ("hidden", HIDDEN)):
        part = errors[gt[..., 2] == visibility]
        values |= {f"{name}, PCK@0.05": (part <= 0.05).mean(), f"{name}, error": part.mean()}
    return {name: float(value) for name, value in values.items()}


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    cells = list(itertools.product(args.epochs, args.arms, args.seeds))
    lines = []
    for epochs, arm, seed in tqdm(cells, unit="run"):
        folder = args.out / args.project.name / f"{arm}_{args.size}px_{epochs}epochs_seed{seed}"
        cfg = config_for(args, arm, epochs, seed)
        weights = folder / "run" / "last.pth"
        if not weights.exists():
            train(cfg, folder, threads_each(1), "--no-verify")
        found, rows = predictions(cfg, weights)
        for way, points in found.items():
            made = scores(points, rows)
            values = [f"{value:.3f}" for value in made.values()]
            lines.append(f"| {' | '.join([arm, str(epochs), str(seed), way, *values])} |")
    header = ["arm", "epochs", "seed", "points given", *made]
    print(f"| {' | '.join(header)} |\n{'| --- ' * len(header)}|")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
