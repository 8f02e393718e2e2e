"""The small twin of litehrnet_coco_whole for a CPU: a few epochs.

Command:   python tools/train.py configs/experimental/smoke/litehrnet_coco_whole.py --amp \\
               --data-root DIR
Hardware:  two CPU cores
Expected:  28 pictures do not suffice: AP 0 on others after its 20 epochs, 3 minutes of one core
"""

_base_ = "../litehrnet_coco_whole.py"

train_cfg = dict(max_epochs=20, val_interval=10)
param_scheduler = [
    dict(type="WarmupLR", start_factor=1e-2, end=1, convert_to_iter_based=True),
    dict(
        type="ChainedCosineRestartLR",
        periods=[5, 15],
        eta_min_ratio=0.01,
        by_epoch=True,
        begin=0,
        end=20,
        convert_to_iter_based=True,
    ),
]
train_dataloader = dict(num_workers=0)
val_dataloader = dict(num_workers=0)
test_dataloader = dict(num_workers=0)
