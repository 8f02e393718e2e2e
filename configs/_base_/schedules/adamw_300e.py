# 300 epochs of about 800 images: AdamW, linear warm-up, flat half, cosine half.
# A leaf sets `optim_wrapper.optimizer.lr` for batch 16; `--auto-scale-lr` scales it linearly with
# the batch, and every scheduler below is relative to it.
_base_ = "adamw.py"

train_cfg = dict(max_epochs=300, val_interval=5)

param_scheduler = [
    dict(type="WarmupLR", start_factor=1e-4, end=10, convert_to_iter_based=True),
    dict(
        type="CosineAnnealingLR", eta_min_ratio=0.05, begin=150, end=300, convert_to_iter_based=True
    ),
]
auto_scale_lr = dict(base_batch_size=16)
