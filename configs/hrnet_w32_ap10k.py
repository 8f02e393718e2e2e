"""HRNet-W32 for the 26 points of a horse, 256 × 256: slower than RTMPose-m, finer heatmaps.

Command:   python tools/train.py configs/hrnet_w32_ap10k.py --amp
Weights:   fetched to data/checkpoints by the first run (tools/download_checkpoints.py, elsewhere)
Hardware:  a GPU (not tried yet)
Expected:  from AP-10K weights not measured yet. From random weights 14 epochs of 333 horses, 12
           minutes of one core, do not suffice: PCK@0.1 0.23, the mean pose has 0.24; its small twin
           gets to 0.75 (benchmarks/README.md)
"""

_base_ = [
    "_base_/runtime.py",
    "_base_/models/hrnet_w32.py",
    "_base_/datasets/horse26.py",
    "_base_/schedules/adamw_300e.py",
]

# The head is mapped to horse26 by the names of its points. Random weights: --from-scratch.
load_from = "zoo://hrnet_w32_ap10k"
default_hooks = dict(remap=dict(type="RemapCheckpointHook", source="ap10k"))

optim_wrapper = dict(optimizer=dict(lr=5e-4))

# sigma in heatmap cells, 4 px of the input each
codec = dict(
    type="FastMSRAHeatmap", input_size=(256, 256), heatmap_size=(64, 64), sigma=2, unbiased=True
)
# Stages 0 (the stem) to 2 keep their weights; -1: all train. A tenth of the rate for the rest of
# the backbone: optim_wrapper.paramwise_cfg.module_lr_mult.backbone=0.1
model = dict(backbone=dict(frozen_stages=2), head=dict(decoder=codec))
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict(codec=codec))
