"""A whole training in small: registry, loss, optimizer, checkpoint."""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.runner.checkpoint import load_checkpoint, save_checkpoint
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import nn

KEYPOINTS, INPUT_PX, HEATMAP_CELLS, STEPS = 26, 64, 2, 3


def train_and_reload() -> str:
    """Train for three steps on the best device there is, save, load into a fresh model, compare.

    Returns:
        What was done, with loss and time.

    Raises:
        RuntimeError: The loss is not finite, nothing was learnt, or the weights came back wrong.
    """
    start_s = time.perf_counter()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = torch.Generator().manual_seed(0)
    model, data = _build_model(device), _batch(generator)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    losses = [
        model.train_step(data, OptimWrapper(optimizer))["loss_kpt"].item() for _ in range(STEPS)
    ]
    after = nn.utils.parameters_to_vector(model.parameters()).detach()
    if not all(map(math.isfinite, losses)) or torch.equal(before, after):
        raise RuntimeError(f"expected finite losses and changed weights, got losses {losses}")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "check.pth")
        checkpoint = {"state_dict": model.state_dict(), "optimizer": optimizer.state_dict()}
        save_checkpoint(checkpoint, path)
        fresh = _build_model(device)
        load_checkpoint(fresh, path, map_location=device, strict=True)
    if not torch.equal(nn.utils.parameters_to_vector(fresh.parameters()), after):
        raise RuntimeError("expected the saved weights in the fresh model, found others")
    elapsed_s = time.perf_counter() - start_s
    return f"{STEPS} steps on {device} and a checkpoint in {elapsed_s:.1f} s, loss {losses[-1]:.2g}"


def _build_model(device: str) -> Any:
    config = dict(
        type="TopdownPoseEstimator",
        data_preprocessor=dict(type="mmpose.PoseDataPreprocessor", mean=[127.5], std=[127.5]),
        backbone=dict(type="ShuffleNetV2", widen_factor=0.5),
        head=dict(
            type="HeatmapHead",
            in_channels=1024,
            out_channels=KEYPOINTS,
            deconv_out_channels=None,
            loss=dict(type="KeypointMSELoss"),
        ),
    )
    return MODELS.build(config).to(device).train()


def _batch(generator: torch.Generator) -> dict:
    """Two random images with random heatmaps, as a data loader hands them over."""
    images, samples = [], []
    for _ in range(2):
        sample, cells = PoseDataSample(), (KEYPOINTS, HEATMAP_CELLS, HEATMAP_CELLS)
        sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, KEYPOINTS))
        sample.gt_fields = PixelData(heatmaps=torch.rand(cells, generator=generator))
        samples.append(sample)
        shape = (3, INPUT_PX, INPUT_PX)
        images.append(torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8))
    return {"inputs": images, "data_samples": samples}
