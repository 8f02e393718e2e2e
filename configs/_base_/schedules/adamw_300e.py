# 300 epochs of about 800 pictures: AdamW, linear warm-up, flat half, cosine half.
# A leaf sets `optim_wrapper.optimizer.lr` for batch 16; `--auto-scale-lr` scales it linearly with
# the batch, and every scheduler below is relative to it.
train_cfg = dict(by_epoch=True, max_epochs=300, val_interval=5)

optim_wrapper = dict(
    type="OptimWrapper",
    # fused: one kernel for all tensors of a group
    optimizer=dict(type="AdamW", lr=5e-4, weight_decay=0.05, fused=True),
    # few groups; no weight decay on norms and biases
    constructor="LayerwiseLrConstructor",
    paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0),
    clip_grad=dict(max_norm=35, norm_type=2),
)
param_scheduler = [
    dict(type="WarmupLR", start_factor=1e-4, end=10, convert_to_iter_based=True),
    dict(
        type="CosineAnnealingLR",
        eta_min_ratio=0.05,
        begin=150,
        end=300,
        T_max=150,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(base_batch_size=16)
