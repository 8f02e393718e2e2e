"""Small twin for a CPU: 384 × 384, a few epochs.

Command:   python tools/train.py configs/smoke/td-hm_hrnet-w18_p1p2-768x768.py --amp \\
               --data-root DIR
Hardware:  two CPU cores
Expected:  nothing yet, from random weights in so few epochs: it is here to try the config out
"""

_base_ = "../td-hm_hrnet-w18_p1p2-768x768.py"

train_cfg = dict(max_epochs=10)
param_scheduler = _base_.plateau_10e

# sigma in heatmap cells, 4 px of the input each
codec = dict(type="SoftmaxHeatmap", input_size=(384, 384), heatmap_size=(96, 96), sigma=1.5)
model = dict(head=dict(decoder=codec))
train_dataloader = val_dataloader = test_dataloader = dict(num_workers=0, dataset=dict(codec=codec))
