"""Small twin for a CPU: 128 × 128, sample data, ImageNet weights.

Command:   python tools/train.py experimental/smoke/sequential_efficientnet-lite0_horse26-256x256 \\
               --amp --data-root data/sample
Hardware:  two CPU cores
Expected:  AP 0.30, PCK@0.1 0.79 on 100 validation images after 8 epochs of 1,000 (5 minutes of a
           core, drawn horses); on 93 real horses after 17 epochs PCK@0.1 0.15, below the mean
           pose's 0.24 (benchmarks/README.md)
"""

_base_ = "../sequential_efficientnet-lite0_horse26-256x256.py"

train_cfg = dict(max_epochs=17, val_interval=4)
param_scheduler = [
    dict(type="WarmupLR", start_factor=1e-3, end=1, convert_to_iter_based=True),
    dict(type="CosineAnnealingLR", eta_min_ratio=0.02, begin=8, end=17, convert_to_iter_based=True),
]

codec = dict(_base_.codec, input_size=(128, 128))
model = dict(head=dict(decoder=codec))
drop = dict(type="DropOutsideKeypoints")
train_pipeline = [*_base_.mild_geometry, _base_.crop, drop, *_base_.pack]
train_dataloader = dict(num_workers=1, dataset=dict(codec=codec, pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(num_workers=1, dataset=dict(codec=codec))
