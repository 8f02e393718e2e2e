"""The small twin of sequential_fsc147_384 for a CPU: 192 × 192, a few epochs, ImageNet weights.

Command:   python tools/train.py configs/smoke/sequential_fsc147_384.py --amp --data-root DIR
Hardware:  two CPU cores
Expected:  nothing yet in so few epochs: it is here to try the config out
"""

_base_ = "../sequential_fsc147_384.py"

train_cfg = dict(max_epochs=10, val_begin=1)
param_scheduler = [
    dict(type="WarmupLR", start_factor=1e-2, end=1, convert_to_iter_based=True),
    dict(
        type="CosineAnnealingLR",
        eta_min_ratio=0.02,
        begin=2,
        end=10,
        T_max=8,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]

codec = dict(
    type="PointSequence",
    input_size=(192, 192),
    max_points=_base_.max_points,
    order="random",
)
model = dict(head=dict(decoder=codec))

crop = dict(type="TopdownAffineCrop", input_size=codec["input_size"])
pack = [dict(type="GenerateTarget", encoder=codec), dict(type="FastPackPoseInputs")]
train_pipeline = [*_base_.train_geometry, crop, *_base_.train_pixels, *pack]
val_pipeline = [*_base_.val_geometry, crop, *pack]
train_dataloader = dict(num_workers=0, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=0, dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(num_workers=0, dataset=dict(pipeline=val_pipeline))
