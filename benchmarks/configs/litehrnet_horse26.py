"""Lite-HRNet on horses from random weights, small enough for minutes of a CPU: for loss trials.

Command:   python benchmarks/heatmap_losses.py --config benchmarks/configs/litehrnet_horse26.py …
"""

_base_ = [
    "../../configs/_base_/runtime.py",
    "../../configs/_base_/models/litehrnet.py",
    "../../configs/_base_/datasets/horse26.py",
    "../../configs/_base_/schedules/warm_restarts_200e.py",
]

# sigma in heatmap cells, 4 px of the input each
codec = dict(
    type="FastMSRAHeatmap", input_size=(128, 128), heatmap_size=(32, 32), sigma=1.2, unbiased=True
)
model = dict(
    head=dict(out_channels=26, decoder=codec),
    test_cfg=dict(flip_test=True, flip_mode="heatmap", shift_heatmap=True),
)

train_dataloader = dict(dataset=dict(codec=codec, pipeline=_base_.mild_pipeline))
val_dataloader = test_dataloader = dict(dataset=dict(codec=codec))
