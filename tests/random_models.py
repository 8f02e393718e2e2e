"""Checkpoints with weights as they are drawn: enough where only geometry is looked at."""

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from equikpt.cli.launch import load_config
from equikpt.core.configs import strip_pretrained_init


def random_checkpoint(name: str, folder: Path) -> Path:
    """Write a checkpoint of a config's model into ``folder``, the same at each call."""
    cfg: Config = load_config(name)
    init_default_scope("mmpose")
    strip_pretrained_init(cfg.model)
    torch.manual_seed(0)
    path = folder / f"{Path(name).name}.pth"
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), path)
    return path
