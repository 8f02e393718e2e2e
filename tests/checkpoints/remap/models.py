"""Small pose estimators with real heads."""

from __future__ import annotations

import torch
from torch import nn

BACKBONE = dict(
    type="ResNet",
    depth=18,
    num_stages=1,
    strides=(1,),
    dilations=(1,),
    out_indices=(0,),
    stem_channels=8,
    base_channels=8,
)
SIDE_PX = 32  # features are 8 × 8

GAU = dict(
    hidden_dims=16,
    s=8,
    expansion_factor=2,
    dropout_rate=0.0,
    drop_path=0.0,
    act_fn="SiLU",
    use_rel_bias=False,
    pos_enc=False,
)


def heatmap_head(points: int, **options) -> dict:
    return dict(
        type="HeatmapHead",
        in_channels=8,
        out_channels=points,
        deconv_out_channels=None,
        **options,
    )


def rtmcc_head(points: int, *, side_px: int = SIDE_PX, **gau) -> dict:
    return dict(
        type="RTMCCHead",
        in_channels=8,
        out_channels=points,
        input_size=(side_px, side_px),
        in_featuremap_size=(8, 8),
        final_layer_kernel_size=7,
        gau_cfg={**GAU, **gau},
    )


def model_config(head: dict) -> dict:
    return dict(type="TopdownPoseEstimator", backbone=BACKBONE, head=head)


def build(head: dict, seed: int = 0) -> nn.Module:
    """A model in evaluation mode with every tensor drawn at random, biases too."""
    from mmengine.registry import init_default_scope
    from mmpose.registry import MODELS

    import equikpt.register  # noqa: F401

    init_default_scope("mmpose")
    model = MODELS.build(model_config(head))
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            values = torch.randn(tensor.shape, generator=generator) * 0.3
            tensor.copy_(values.abs() + 0.5 if name.endswith("running_var") else values)
    model.eval()
    return model


def images(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, SIDE_PX, SIDE_PX, generator=torch.Generator().manual_seed(9))
