"""Small twin for a CPU: 128 × 128, sample data, ImageNet weights.

Command:   python tools/train.py smoke/td-hm_efficientnet-lite0_horse26-192x192 --amp \\
               --data-root data/sample
Hardware:  two CPU cores
Expected:  AP 0.53, PCK@0.1 0.87 on 89 real images after its 17 epochs of 333, 3 minutes of one
           core; the mean pose has PCK@0.1 0.24 (benchmarks/README.md)
"""

_base_ = ["../_base_/models/efficientnet_heatmap.py", "../_base_/smoke_horse26.py"]

optim_wrapper = dict(optimizer=dict(lr=1e-3))

codec = dict(type="FastUDPHeatmap", input_size=(128, 128), heatmap_size=(16, 16), sigma=1)
# The stem and the first two stages are frozen: a step takes 0.7 of the time.
model = dict(backbone=dict(frozen_stages=2), head=dict(decoder=codec))
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict(codec=codec))
