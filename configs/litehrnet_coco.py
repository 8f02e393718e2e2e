"""People of COCO, top-down: Lite-HRNet, heatmaps of logits, focal + L1 loss.

Command:   python tools/train.py configs/litehrnet_coco.py --amp
Hardware:  a GPU (not tried yet)
Expected:  COCO not measured. 86 people do not suffice: after 36 epochs of them (216 steps, 14
           minutes of one core) PCK@0.1 0.09 on others, below the mean pose's 0.20. Its small twin
           learns them by heart at another rate (benchmarks/README.md)
"""

_base_ = [
    "_base_/runtime_coco.py",
    "_base_/models/litehrnet.py",
    "_base_/datasets/coco17.py",
    "_base_/schedules/warm_restarts_200e.py",
]

# sigma in heatmap cells, 4 px of the input each: 6 px
codec = dict(
    type="FastMSRAHeatmap", input_size=(192, 256), heatmap_size=(48, 64), sigma=1.5, unbiased=True
)
model = dict(
    head=dict(decoder=codec),
    test_cfg=dict(flip_test=True, flip_mode="heatmap", shift_heatmap=True),
)

crop = dict(type="TopdownAffineCrop", input_size=codec["input_size"])
pack = dict(type="FastPackPoseInputs")
train_pipeline = [
    *_base_.train_geometry,
    crop,
    *_base_.train_pixels,
    dict(type="GenerateTarget", encoder=codec, use_dataset_keypoint_weights=True),
    pack,
]
val_target = dict(type="GenerateValTarget", encoder=codec, use_dataset_keypoint_weights=True)
val_pipeline = [*_base_.val_geometry, crop, val_target, pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=val_pipeline))
