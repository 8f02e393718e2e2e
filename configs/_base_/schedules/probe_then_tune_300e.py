# Linear probing, then fine-tuning (https://arxiv.org/abs/2202.10054): the new head is trained on
# features that stand still, then everything at a small rate. A random head would first bend good
# features to its own mistakes. In the leaf, as for three_phases_300e.py:
#
#   model = dict(backbone=dict(frozen_stages=_base_.phases[0]["frozen_stages"]))
#   default_hooks = dict(phases=dict(type="StageUnfreezeHook", phases=_base_.phases))
_base_ = "adamw.py"

train_cfg = dict(max_epochs=300, val_interval=5)

phases = [
    dict(name="the head alone", begin=0, frozen_stages=4),
    dict(name="everything, at a small rate", begin=60, frozen_stages=-1),
]

optim_wrapper = dict(
    optimizer=dict(lr=1e-3),
    paramwise_cfg=dict(_delete_=True, frozen_stages=-1, frozen_at_start=4),
)
param_scheduler = [
    dict(type="WarmupLR", start_factor=1e-3, end=10, convert_to_iter_based=True),
    dict(type="MultiStepLR", milestones=[60], gamma=0.3, by_epoch=True),
    dict(
        type="CosineAnnealingLR", eta_min_ratio=0.05, begin=150, end=300, convert_to_iter_based=True
    ),
]
auto_scale_lr = dict(base_batch_size=16)
