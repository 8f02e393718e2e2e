"""Small twin for a CPU: 192 × 192, a few epochs, ImageNet weights.

Command:   python tools/train.py smoke/sequential_efficientnet-lite0_fsc147-384x384 --amp \\
               --data-root DIR
Hardware:  two CPU cores
Expected:  count MAE 2.7 on 87 images of blood cells after its 10 epochs of 205, 4 minutes of one
           core; always the mean: 3.7 (benchmarks/README.md)
"""

_base_ = "../sequential_efficientnet-lite0_fsc147-384x384.py"

train_cfg = dict(max_epochs=10, val_begin=1)
param_scheduler = _base_.cosine_10e

codec = dict(_base_.codec, input_size=(192, 192))
model = dict(head=dict(decoder=codec))
train_dataloader = val_dataloader = test_dataloader = dict(num_workers=0, dataset=dict(codec=codec))
