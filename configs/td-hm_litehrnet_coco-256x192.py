"""People of COCO, top-down: Lite-HRNet, heatmaps of logits, focal + L1 loss.

Command:   python tools/train.py configs/td-hm_litehrnet_coco-256x192.py --amp
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
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict(codec=codec))
