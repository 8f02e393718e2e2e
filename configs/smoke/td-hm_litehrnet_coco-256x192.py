"""Small twin for a CPU, from random weights: 96 × 128, a few epochs.

Command:   python tools/train.py configs/smoke/td-hm_litehrnet_coco-256x192.py --amp \\
               --data-root DIR
Hardware:  two CPU cores
Expected:  86 people do not suffice: PCK@0.1 0.06 on others after its 20 epochs, the mean pose has
           0.20 (with 48 channels). It is here to try the config out; it learns them by heart
           (benchmarks/README.md)
"""

_base_ = "../td-hm_litehrnet_coco-256x192.py"

load_from = None
default_hooks = dict(start=dict(random_weights=True))

train_cfg = dict(max_epochs=20, val_interval=10)
param_scheduler = _base_.restarts_20e

# sigma in heatmap cells, 4 px of the input each
codec = dict(
    type="FastMSRAHeatmap", input_size=(96, 128), heatmap_size=(24, 32), sigma=1.2, unbiased=True
)
model = dict(head=dict(decoder=codec))
train_dataloader = val_dataloader = test_dataloader = dict(num_workers=0, dataset=dict(codec=codec))
