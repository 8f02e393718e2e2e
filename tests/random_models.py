"""Checkpoints with weights as they are drawn: enough where only geometry is looked at."""

from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from equikpt.cli.launch import load_config
from equikpt.core.configs import strip_pretrained_init
from equikpt.structures.training_features import TrainingFeatures, record_training_features


def random_checkpoint(name: str, folder: Path) -> Path:
    """Write a checkpoint of a config's model into ``folder``, the same at each call."""
    cfg: Config = load_config(name)
    init_default_scope("mmpose")
    strip_pretrained_init(cfg.model)
    torch.manual_seed(0)
    path = folder / f"{Path(name).name}.pth"
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), path)
    return path


def with_training_features(name: str, checkpoint: Path, limit: float, folder: Path) -> Path:
    """Write a checkpoint again with a record of training features whose limit is given."""
    cfg = load_config(name)
    init_default_scope("mmpose")
    strip_pretrained_init(cfg.model)
    maps = MODELS.build(cfg.model).eval().backbone(torch.zeros(1, 3, 64, 64))
    width = maps[-1].shape[1]
    directions = np.eye(1, width, dtype=np.float32)
    record = TrainingFeatures(
        *(np.zeros(width, np.float32), directions, np.zeros((6, 1), np.float32)),
        *(np.zeros(6, np.float32), 1.0, limit, 0.99),
    )
    content = torch.load(checkpoint, weights_only=True)
    path = folder / f"{checkpoint.stem}_{limit:g}.pth"
    record_training_features(content, record)
    torch.save(content, path)
    return path
