# 200 epochs of cosine annealing with warm restarts (https://arxiv.org/abs/1608.03983): the first
# period is 25 epochs, the second 50, the third 125, each from the full rate down to a hundredth.
# The best models come at the end of a period; the last one ends with the training.
_base_ = "adamw.py"

train_cfg = dict(max_epochs=200, val_interval=5)

optim_wrapper = dict(optimizer=dict(lr=3e-4, weight_decay=1e-4), clip_grad=dict(max_norm=1.0))
restarts = dict(
    type="ChainedCosineRestartLR", eta_min_ratio=0.01, begin=0, convert_to_iter_based=True
)
param_scheduler = [
    dict(type="WarmupLR", start_factor=1e-3, end=1, convert_to_iter_based=True),
    dict(restarts, periods=[25, 50, 125], end=200),
]
# for the small twins
restarts_20e = [
    dict(type="WarmupLR", start_factor=1e-2, end=1, convert_to_iter_based=True),
    dict(restarts, periods=[5, 15], end=20),
]
auto_scale_lr = dict(base_batch_size=16)
