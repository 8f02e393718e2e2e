"""The small twin of litehrnet_coco_whole for a CPU: a few epochs.

Command:   python tools/train.py configs/experimental/smoke/litehrnet_coco_whole.py --amp \\
               --data-root DIR
Hardware:  two CPU cores
Expected:  28 images do not suffice: AP 0 on others after its 20 epochs, 3 minutes of one core
"""

_base_ = "../litehrnet_coco_whole.py"

train_cfg = dict(max_epochs=20, val_interval=10)
param_scheduler = _base_.restarts_20e
train_dataloader = dict(num_workers=0)
val_dataloader = dict(num_workers=0)
test_dataloader = dict(num_workers=0)
