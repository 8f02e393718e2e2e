"""Shipped models of the other systems with a tiny backbone and random weights."""

from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from equikpt.apis.box_predictor import BoxPredictor
from equikpt.config_checks.options import load_config

CHANNELS = (24, 32, 48, 64)
"""Of the backbone, at strides 4 to 32."""


def small_predictor(name: str, folder: Path, neck: dict | None = None, **head: object):
    """Predictor and config of a shipped model that is small enough for a test."""
    cfg = load_config(name)
    levels = cfg.model.backbone.get("out_indices", (1, 2, 3, 4))
    cfg.model.backbone = dict(
        type="TimmBackbone", model_name="test_efficientnet", out_indices=levels
    )
    if neck is None:
        cfg.model.neck.in_channels = CHANNELS[-len(levels) :]
    else:
        cfg.model.neck = neck
    cfg.model.head.update(head)
    if "decoder" in head:
        cfg.test_dataloader.dataset.codec = head["decoder"]
    init_default_scope("mmpose")
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    for key, parameter in model.head.named_parameters():
        if key.startswith("final_layer"):
            torch.nn.init.normal_(parameter, std=0.5)
    path = folder / f"{Path(name).name}.pth"
    torch.save(dict(state_dict=model.state_dict()), path)
    return BoxPredictor(cfg, path, "cpu"), cfg


@pytest.fixture
def outputs_of():
    """``outputs_of(graph)``: runs a graph on an array, as a file is run."""

    def wrap(graph):
        def run(image):
            with torch.no_grad():
                outputs = graph.eval()(torch.from_numpy(image))
            return {name: each.numpy() for name, each in outputs.items()}

        return run

    return wrap
