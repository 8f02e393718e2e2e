"""Small twin for a CPU, from random weights: 96 × 96, a few epochs.

Command:   python tools/train.py smoke/td-hm_hrnet-w18_p1p2-refine-192x192 --amp \\
               --data-root DIR
Hardware:  two CPU cores
Expected:  0.57 px of the radiograph after its 10 epochs of 150 real radiographs, 2.4 minutes of one
           core; the middle of the crop is off by 8.5 px (benchmarks/README.md)
"""

_base_ = "../td-hm_hrnet-w18_p1p2-refine-192x192.py"

load_from = None
default_hooks = dict(start=dict(random_weights=True))

train_cfg = dict(max_epochs=10)
param_scheduler = _base_.cosine_10e

# sigma in heatmap cells, 4 px of the input each
codec = dict(type="SoftmaxHeatmap", input_size=(96, 96), heatmap_size=(24, 24), sigma=1.2)
model = dict(head=dict(decoder=codec))
train_dataloader = val_dataloader = test_dataloader = dict(num_workers=0, dataset=dict(codec=codec))
