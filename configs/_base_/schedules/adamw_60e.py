# 60 epochs of a few hundred images, from pretrained weights or on crops: a third at the full
# rate, then down to a fiftieth.
_base_ = "adamw_300e.py"

train_cfg = dict(max_epochs=60)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type="WarmupLR", start_factor=1e-3, end=3, convert_to_iter_based=True),
    dict(
        type="CosineAnnealingLR", eta_min_ratio=0.02, begin=20, end=60, convert_to_iter_based=True
    ),
]
