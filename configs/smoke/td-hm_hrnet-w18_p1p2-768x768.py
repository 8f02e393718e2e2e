"""Small twin for a CPU, from random weights: 384 × 384, a few epochs.

Command:   python tools/train.py configs/smoke/td-hm_hrnet-w18_p1p2-768x768.py --amp \\
               --data-root DIR
Hardware:  two CPU cores
Expected:  3.5 px of the radiograph after its 10 epochs of 150 real radiographs, 16 minutes of one
           core; the mean place of the marks is off by 39 px (benchmarks/README.md)
"""

_base_ = "../td-hm_hrnet-w18_p1p2-768x768.py"

load_from = None
default_hooks = dict(start=dict(random_weights=True))

train_cfg = dict(max_epochs=10)
param_scheduler = _base_.plateau_10e

# sigma in heatmap cells, 4 px of the input each
codec = dict(type="SoftmaxHeatmap", input_size=(384, 384), heatmap_size=(96, 96), sigma=1.5)
model = dict(head=dict(decoder=codec))
train_dataloader = val_dataloader = test_dataloader = dict(num_workers=0, dataset=dict(codec=codec))
