"""A top-down model small enough for an export in seconds, with all that checkpoints may record."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from equikpt.config_checks.options import load_config
from equikpt.structures.training_features import TrainingFeatures, record_training_features
from equikpt.structures.uncertainty import Uncertainty, record_uncertainty

KEYPOINTS, WIDTH, UNTRAINED = 26, 64, 7
HEATMAPS = "smoke/td-hm_efficientnet-lite0_horse26-192x192"
SIMCC = "smoke/rtmpose_m_ap10k"


def tiny_config(name: str) -> Config:
    """Config of a shipped model with a backbone of 80,000 weights."""
    cfg = load_config(name)
    cfg.model.backbone = dict(
        type="TimmBackbone", model_name="test_efficientnet", out_indices=(2, 3, 4)
    )
    if cfg.model.head.type == "RTMCCHead":
        cfg.model.head.in_channels = WIDTH
        cfg.model.head.in_featuremap_size = [side // 32 for side in cfg.codec.input_size]
    else:
        cfg.model.head.in_channels = 32 + 48 + WIDTH
    return cfg


def write_checkpoint(cfg: Config, path: Path, records: bool = True) -> Path:
    """Write random weights, strong enough for peaks; with fit, features and untrained keypoints."""
    init_default_scope("mmpose")
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    for name, parameter in model.head.named_parameters():
        if name.startswith(("final_layer", "cls_", "visibility.linear")):
            torch.nn.init.normal_(parameter, std=0.5)
    content = dict(state_dict=model.state_dict(), meta=dict(epoch=3))
    if records:
        rng = np.random.default_rng(0)
        record_uncertainty(content, fit(rng))
        record_training_features(content, features(rng))
        trained = [index != UNTRAINED for index in range(KEYPOINTS)]
        content["meta"]["dataset_meta"] = dict(trained_keypoints=trained)
    torch.save(content, path)
    return path


def fit(rng: np.random.Generator) -> Uncertainty:
    factors = np.sort(rng.uniform(0.5, 4, (KEYPOINTS, 3)), axis=1)
    factors[3] = np.inf
    return Uncertainty(
        levels=np.array([0.5, 0.9, 0.95]),
        factors=factors,
        exponent=0.8,
        scores=np.array([0.0, 0.5, 1.0, 4.0]),
        probabilities=np.array([0.1, 0.3, 0.3, 0.9]),
        source="labels",
    )


def features(rng: np.random.Generator) -> TrainingFeatures:
    directions = np.linalg.qr(rng.normal(size=(WIDTH, 6)))[0].T
    return TrainingFeatures(
        mean=np.full(WIDTH, 0.1, np.float32),
        directions=directions.astype(np.float32),
        positions=rng.normal(0, 0.2, (12, 6)).astype(np.float32),
        rests=rng.uniform(0, 0.1, 12).astype(np.float32),
        typical=0.7,
        limit=1.5,
        level=0.99,
        source="images",
    )


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """``tiny(name)``: config and checkpoint of a tiny model."""
    folder, made = tmp_path_factory.mktemp("tiny"), {}

    def make(name: str = HEATMAPS, records: bool = True) -> tuple[Config, Path]:
        key = (name, records)
        if key not in made:
            cfg = tiny_config(name)
            path = folder / f"{Path(name).name}_{records}.pth"
            made[key] = cfg, write_checkpoint(cfg, path, records)
        return made[key]

    return make


@pytest.fixture
def views() -> list:
    """Two images of smooth blots with boxes, as a predictor takes them."""
    import cv2

    rng = np.random.default_rng(4)
    images = [
        cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (160, 120)) for _ in range(2)
    ]
    boxes = np.array([[10, 5, 140, 110], [0, 0, 159, 119]], np.float32)
    return list(zip(images, boxes, strict=True))
