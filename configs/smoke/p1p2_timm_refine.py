"""The small twin of p1p2_timm_refine for a CPU: 96 × 96, a few epochs.

Command:   python tools/train.py configs/smoke/p1p2_timm_refine.py --amp --data-root DIR
Hardware:  two CPU cores
Expected:  0.71 px of the film after its 10 epochs of 150 real films, 1.4 minutes of one core; the
           middle of the crop is off by 8.5 px (benchmarks/README.md)
"""

_base_ = "../p1p2_timm_refine.py"

train_cfg = dict(max_epochs=10)
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
codec = dict(type="SoftmaxHeatmap", input_size=(96, 96), heatmap_size=(24, 24), sigma=1.2)
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
