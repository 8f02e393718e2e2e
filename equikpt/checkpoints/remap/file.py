"""A checkpoint file fitted to the model of a config."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn

import equikpt
from equikpt.checkpoints.remap.checkpoint import remap_checkpoint
from equikpt.checkpoints.remap.rows import TensorRow
from equikpt.compat.safe_load import load_from_local
from equikpt.config_checks.load import load_config
from equikpt.core.configs import strip_pretrained_init
from equikpt.core.files import refuse_existing, write_bytes
from equikpt.metainfo.correspondence import KEYPOINT_NAMES


def remap_file(
    checkpoint: str | Path,
    out: str | Path,
    config: str,
    source: str,
    target: str = "horse26",
    allow_missing: Iterable[str] = (),
    overwrite: bool = False,
) -> list[TensorRow]:
    """Write the fitted checkpoint to a file, for ``load_from`` of any MMPose config.

    It is whole: tensors that the checkpoint does not give have the values that a model starts with.

    Raises:
        FileExistsError: ``out`` exists and ``overwrite`` is not set.
        FileNotFoundError: There is no such checkpoint or config.
        TypeError, ValueError: As :func:`remap_checkpoint`, or the checkpoint cannot be read.
    """
    out = Path(out)
    refuse_existing(out, overwrite)
    loaded = load_from_local(str(checkpoint), map_location="cpu")
    state, rows = remap_checkpoint(loaded, _build_model(config), source, target, allow_missing)
    # a fresh meta: MMPose would take the points of the old one for those of the model
    meta = dict(
        remapped_from=Path(checkpoint).name,
        source=source,
        target=target,
        keypoints=list(KEYPOINT_NAMES[target]),
        equikpt_version=equikpt.__version__,
    )
    content = io.BytesIO()
    torch.save(dict(state_dict=state, meta=meta), content)
    write_bytes(out, content.getvalue())
    return rows


def _build_model(config: str) -> nn.Module:
    from mmengine.logging import MMLogger
    from mmengine.registry import init_default_scope
    from mmpose.registry import MODELS

    cfg = load_config(config)
    init_default_scope(cfg.get("default_scope", "mmpose"))
    strip_pretrained_init(cfg.model)
    model = MODELS.build(cfg.model)
    MMLogger.get_current_instance().setLevel("WARNING")  # it would say how each tensor starts
    model.init_weights()
    return model
