"""Small twin for a CPU: a few epochs.

Command:   python tools/train.py experimental/smoke/hm_litehrnet_coco-whole-256x256 --amp \\
               --data-root DIR
Hardware:  two CPU cores
Expected:  28 images do not suffice: AP 0 on others after its 20 epochs, 3 minutes of one core
"""

_base_ = "../hm_litehrnet_coco-whole-256x256.py"

train_cfg = dict(max_epochs=20, val_interval=10)
param_scheduler = _base_.restarts_20e
train_dataloader = val_dataloader = test_dataloader = dict(num_workers=0)
