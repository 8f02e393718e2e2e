# For the small twins: they learn the sample data in minutes on two CPU cores, from random weights.
train_cfg = dict(by_epoch=True, max_epochs=17, val_interval=10)

optim_wrapper = dict(
    type="OptimWrapper",
    # In so few steps a short average of squared gradients (0.99) beats the usual 0.999.
    optimizer=dict(type="AdamW", lr=2.5e-3, betas=(0.9, 0.99), weight_decay=0.05, fused=True),
    constructor="LayerwiseLrConstructor",
    paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0),
    clip_grad=dict(max_norm=35, norm_type=2),
)
param_scheduler = [
    dict(type="WarmupLR", start_factor=1e-2, end=2, convert_to_iter_based=True),
    dict(
        type="CosineAnnealingLR",
        eta_min_ratio=0.02,
        begin=4,
        end=17,
        T_max=13,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(base_batch_size=16)
