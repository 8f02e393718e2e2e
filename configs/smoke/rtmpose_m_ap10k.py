"""The small twin of rtmpose_m_ap10k for a CPU: 128 × 128, a fifth of the width, sample data.

Command:   python tools/train.py configs/smoke/rtmpose_m_ap10k.py --amp --data-root data/sample
Hardware:  two CPU cores
"""

_base_ = [
    "../_base_/runtime.py",
    "../_base_/models/rtmpose_m.py",
    "../_base_/datasets/horse26.py",
    "../_base_/schedules/adamw_300e.py",
]

# Small networks at 128 px learn the sample data in minutes, from random weights.
train_cfg = dict(max_epochs=40, val_interval=5)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-2, by_epoch=False, begin=0, end=50),
    dict(
        type="CosineAnnealingLR",
        eta_min_ratio=0.02,
        begin=0,
        end=40,
        T_max=40,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
default_hooks = dict(logger=dict(interval=5), checkpoint=dict(interval=5))

codec = dict(
    type="SimCCLabel",
    input_size=(128, 128),
    sigma=(3.5, 3.5),  # px of the input
    simcc_split_ratio=2.0,
    normalize=False,
    use_dark=False,
)
model = dict(
    # features of stride 16: those of stride 32 would be 4 × 4 cells
    backbone=dict(deepen_factor=0.167, widen_factor=0.375, out_indices=(3,)),
    head=dict(in_channels=192, input_size=(128, 128), in_featuremap_size=(8, 8), decoder=codec),
    test_cfg=dict(flip_test=False),
)

train_pipeline = [
    *_base_.train_geometry,
    dict(type="TopdownAffine", input_size=codec["input_size"]),
    *_base_.train_pixels,
    dict(type="GenerateTarget", encoder=codec, use_dataset_keypoint_weights=True),
    dict(type="PackPoseInputs"),
]
val_pipeline = [
    *_base_.val_geometry,
    dict(type="TopdownAffine", input_size=codec["input_size"]),
    dict(type="PackPoseInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=val_pipeline))
