# What all schedules share: AdamW in few groups, without weight decay on norms and biases.
train_cfg = dict(by_epoch=True, val_interval=1)

optim_wrapper = dict(
    type="OptimWrapper",
    # fused: one kernel for all tensors of a group
    optimizer=dict(type="AdamW", lr=5e-4, weight_decay=0.05, fused=True),
    constructor="LayerwiseLrConstructor",
    paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0),
    clip_grad=dict(max_norm=35, norm_type=2),
)

# for the small twins: warm-up, and a cosine down to a fiftieth within 10 epochs
cosine_10e = [
    dict(type="WarmupLR", start_factor=1e-2, end=1, convert_to_iter_based=True),
    dict(type="CosineAnnealingLR", eta_min_ratio=0.02, begin=2, end=10, convert_to_iter_based=True),
]
