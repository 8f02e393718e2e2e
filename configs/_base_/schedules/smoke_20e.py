# For the small twins: they learn the sample data in minutes on two CPU cores, from random weights.
train_cfg = dict(by_epoch=True, max_epochs=20, val_interval=10)

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=2e-3, weight_decay=0.05, fused=True),
    constructor="LayerwiseLrConstructor",
    paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0),
    clip_grad=dict(max_norm=35, norm_type=2),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-2, by_epoch=False, begin=0, end=120),
    dict(
        type="CosineAnnealingLR",
        eta_min_ratio=0.02,
        begin=0,
        end=20,
        T_max=20,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(base_batch_size=16)
