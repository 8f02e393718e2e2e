"""rtmpose_m_ap10k from random weights, on as many horses as 40 minutes of two cores can show it.

The network and its losses are the config's. What 1,300 steps cannot digest is left out: the strong
augmentation, and the schedule of 300 epochs.

Command:   python tools/train.py benchmarks/configs/rtmpose_m_from_random.py --data-root DIR --amp
Hardware:  two CPU cores, 36 minutes of CPU time on each for 333 images (as two
           processes of one thread, batch 8 each: OMP_NUM_THREADS=1 tools/dist_train.sh CONFIG 2 …)
Expected:  AP 0.285, AP50 0.596, PCK@0.05 0.386, PCK@0.1 0.726 on 89 other images, 12 points;
           the mean pose (benchmarks/mean_pose.py): AP 0.007, AP50 0.028, PCK 0.057 and 0.244
"""

_base_ = "../../configs/rtmpose_m_ap10k.py"

load_from = None
model = dict(backbone=dict(frozen_stages=-1))

train_cfg = dict(max_epochs=64, val_interval=8)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, by_epoch=False, begin=0, end=100),
    dict(
        type="CosineAnnealingLR", eta_min_ratio=0.02, begin=32, end=64, convert_to_iter_based=True
    ),
]
default_hooks = dict(checkpoint=dict(interval=8), remap=dict(random_weights=True))

train_pipeline = [
    *_base_.val_geometry,
    dict(type="RandomFlipKeypoints", prob=0.5, direction="horizontal"),
    dict(
        type="FastRandomBBoxTransform",
        rotate_factor=15,
        scale_factor=(0.85, 1.15),
        shift_factor=0.05,
    ),
    _base_.crop,
    dict(type="DropOutsideKeypoints"),
    _base_.target,
    dict(type="FastPackPoseInputs"),
]
train_dataloader = dict(num_workers=0, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=0)
