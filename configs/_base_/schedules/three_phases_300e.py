# Three phases, for weights that were trained on other animals: the stem and stages 1 and 2 are
# frozen for 100 epochs, then stage after stage is released but for the stem, and the last 100 go at
# a reduced rate. Needs a backbone with frozen_stages (0 is the stem) and, in the leaf,
#
#   model = dict(backbone=dict(frozen_stages=_base_.phases[0]["frozen_stages"]))
#   default_hooks = dict(phases=dict(type="StageUnfreezeHook", phases=_base_.phases))
#
# and, where augmentation should change with the phase, a PipelineSwitchHook.
_base_ = "adamw.py"

train_cfg = dict(max_epochs=300, val_interval=5)

phases = [
    dict(name="the head and the late stages", begin=0, frozen_stages=2),
    dict(name="stage 2 released", begin=100, frozen_stages=1),
    dict(name="stage 1 released", begin=150, frozen_stages=0),
    dict(name="all but the stem, at a reduced rate", begin=200, frozen_stages=0),
]

optim_wrapper = dict(
    optimizer=dict(lr=1e-3),
    paramwise_cfg=dict(
        _delete_=True,
        module_lr_mult=dict(backbone=0.1, head=1.0),
        frozen_stages=0,
        frozen_at_start=2,
    ),
)
param_scheduler = [
    dict(type="WarmupLR", start_factor=1e-3, end=10, convert_to_iter_based=True),
    dict(type="MultiStepLR", milestones=[200], gamma=0.3, by_epoch=True),
    dict(
        type="CosineAnnealingLR", eta_min_ratio=0.05, begin=200, end=300, convert_to_iter_based=True
    ),
]
auto_scale_lr = dict(base_batch_size=16)
