"""rtmpose_m_ap10k from random weights, on as many horses as 40 minutes of two cores can show it.

The network and its losses are the config's. What 1,300 steps cannot digest is left out: the strong
augmentation, and the schedule of 300 epochs.

Command:   python tools/train.py benchmarks/configs/rtmpose_m_from_random.py --data-root DIR --amp
Hardware:  2 cores, 40 minutes for 333 pictures
"""

_base_ = "../../configs/rtmpose_m_ap10k.py"

train_cfg = dict(max_epochs=64, val_interval=8)
optim_wrapper = dict(optimizer=dict(lr=2e-4))
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, by_epoch=False, begin=0, end=100),
    dict(
        type="CosineAnnealingLR",
        eta_min_ratio=0.02,
        begin=32,
        end=64,
        T_max=32,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
default_hooks = dict(checkpoint=dict(interval=8))

train_pipeline = [
    *_base_.val_geometry,
    dict(type="RandomFlipKeypoints", prob=0.5, direction="horizontal"),
    dict(
        type="RandomBBoxTransform", rotate_factor=15, scale_factor=(0.85, 1.15), shift_factor=0.05
    ),
    dict(type="TopdownAffine", input_size=_base_.codec["input_size"]),
    dict(type="DropOutsideKeypoints"),
    dict(type="GenerateTarget", encoder=_base_.codec, use_dataset_keypoint_weights=True),
    dict(type="PackPoseInputs"),
]
train_dataloader = dict(num_workers=0, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=0)
