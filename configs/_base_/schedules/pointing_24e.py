# Up to 24 epochs, early stopping permitting: warm-up, a flat third, a cosine for the rest, at one
# rate for all. Validation begins with the cosine: before it, the loss of numbers rises and falls
# from epoch to epoch, and early stopping would take that for the end.
_base_ = "adamw.py"

train_cfg = dict(max_epochs=24, val_begin=9)

optim_wrapper = dict(clip_grad=dict(max_norm=1.0))
param_scheduler = [
    dict(type="WarmupLR", start_factor=1e-3, end=2, convert_to_iter_based=True),
    dict(type="CosineAnnealingLR", eta_min_ratio=0.02, begin=8, end=24, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=4)
