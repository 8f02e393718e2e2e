"""The small twin of hrnet_w18_p1p2_refine for a CPU: 96 × 96, a few epochs.

Command:   python tools/train.py configs/smoke/hrnet_w18_p1p2_refine.py --amp --data-root DIR
Hardware:  two CPU cores
Expected:  not measured yet
"""

_base_ = "../hrnet_w18_p1p2_refine.py"

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
