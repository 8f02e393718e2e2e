"""RTMPose-m for the 26 points of a horse, 256 × 256: fast.

Command:   python tools/train.py configs/rtmpose_m_ap10k.py --amp
Weights:   fetched to data/checkpoints by the first run (tools/download_checkpoints.py, elsewhere)
Hardware:  a GPU (not tried yet) or a CPU
Expected:  from AP-10K weights not measured yet. From random weights early stopping ended 24 epochs
           of 333 horses after 11 minutes of one core at PCK@0.1 0.19, the mean pose has 0.24; with
           less augmentation 64 epochs learn it (benchmarks/configs/rtmpose_m_from_random.py)
"""

_base_ = [
    "_base_/runtime.py",
    "_base_/models/rtmpose_m.py",
    "_base_/datasets/horse26.py",
    "_base_/schedules/adamw_300e.py",
]

# The head is mapped to horse26 by the names of its points. Random weights: --from-scratch.
load_from = "zoo://rtmpose_m_ap10k"
default_hooks = dict(remap=dict(type="RemapCheckpointHook", source="ap10k"))

# RTMPose's stock rate, 4e-3, is for batch 512, which is 1.25e-4 at 16. From random weights 1e-3
# was still at the mean pose after 370 steps and 5e-4 after 190; 2e-4 left it after about 300.
optim_wrapper = dict(optimizer=dict(lr=2e-4))

# Stages 0 (the stem) to 2 keep their weights; -1: all train. A tenth of the rate for the rest of
# the backbone: optim_wrapper.paramwise_cfg.module_lr_mult.backbone=0.1
model = dict(backbone=dict(frozen_stages=2))
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict(codec=_base_.codec))
