"""The small twin of p1p2_timm_512 for a CPU: 256 × 256, a few epochs, ImageNet weights.

Command:   python tools/train.py configs/smoke/p1p2_timm_512.py --amp --data-root DIR
Hardware:  two CPU cores
Expected:  3.2 px of the film after its 10 epochs of 150 real films, 3 minutes of one core; the mean
           place of the marks is off by 39 px (benchmarks/README.md)
"""

_base_ = "../p1p2_timm_512.py"

train_cfg = dict(max_epochs=10, val_interval=5)
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

# sigma in heatmap cells, 4 px of the input each
codec = dict(type="SoftmaxHeatmap", input_size=(256, 256), heatmap_size=(64, 64), sigma=1.5)
model = dict(head=dict(decoder=codec))

crop = dict(type="TopdownAffineCrop", input_size=codec["input_size"])
pack = [
    dict(type="GenerateTarget", encoder=codec, use_dataset_keypoint_weights=True),
    dict(type="FastPackPoseInputs"),
]
train_pipeline = [*_base_.train_geometry, crop, *_base_.train_pixels, *pack]
val_pipeline = [*_base_.val_geometry, crop, *pack]
train_dataloader = dict(num_workers=0, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=0, dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(num_workers=0, dataset=dict(pipeline=val_pipeline))
