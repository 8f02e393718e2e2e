"""RTMPose-m for the 26 points of a horse, 256 × 256: fast, the one to start with.

Command:   python tools/train.py configs/rtmpose_m_ap10k.py --amp
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

# Published weights of this network fit after tools/download_checkpoints.py rtmpose_m_ap10k, with
# --cfg-options load_from=…: the hook maps their head to horse26 by the names of its points.
default_hooks = dict(remap=dict(type="RemapCheckpointHook", source="ap10k"))

# RTMPose's stock rate, 4e-3, is for batch 512, which is 1.25e-4 at 16. From random weights 1e-3
# was still at the mean pose after 370 steps and 5e-4 after 190; 2e-4 left it after about 300.
optim_wrapper = dict(optimizer=dict(lr=2e-4))

train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict(codec=_base_.codec))
