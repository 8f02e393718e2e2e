"""Small twin for a CPU: its phases within 17 epochs, sample data.

Command:   python tools/train.py configs/experimental/smoke/hrnet_w32_ap10k_phases.py \\
               --amp --data-root data/sample
Hardware:  two CPU cores
Expected:  not measured: random weights are no good while they are frozen
"""

_base_ = "../../smoke/hrnet_w32_ap10k.py"

phases = [
    dict(name="the head and the late stages", begin=0, frozen_stages=2),
    dict(name="stage 2 released", begin=4, frozen_stages=1),
    dict(name="stage 1 released", begin=8, frozen_stages=0),
]
model = dict(backbone=dict(frozen_stages=2))
optim_wrapper = dict(
    paramwise_cfg=dict(module_lr_mult=dict(backbone=0.5), frozen_stages=0, frozen_at_start=2)
)
default_hooks = dict(phases=dict(type="StageUnfreezeHook", phases=phases, random_weights=True))
