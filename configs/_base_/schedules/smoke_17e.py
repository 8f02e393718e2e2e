# For the small twins: they learn the sample data in minutes on two CPU cores, from random weights.
_base_ = "adamw.py"

train_cfg = dict(max_epochs=17, val_interval=10)

# In so few steps a short average of squared gradients (0.99) beats the usual 0.999.
optim_wrapper = dict(optimizer=dict(lr=2.5e-3, betas=(0.9, 0.99)))
param_scheduler = [
    dict(type="WarmupLR", start_factor=1e-2, end=2, convert_to_iter_based=True),
    dict(type="CosineAnnealingLR", eta_min_ratio=0.02, begin=4, end=17, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=16)
