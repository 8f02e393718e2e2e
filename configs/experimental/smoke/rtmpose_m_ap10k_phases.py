"""Small twin for a CPU: its phases within 17 epochs, sample data.

Command:   python tools/train.py configs/experimental/smoke/rtmpose_m_ap10k_phases.py \\
               --amp --data-root data/sample
Hardware:  two CPU cores
Expected:  PCK@0.1 0.56 on 93 real horses after its 17 epochs of 333, 0.8 minutes of one core, from
           random weights, which are no good while they are frozen; the mean pose has 0.24
"""

_base_ = "../../smoke/rtmpose_m_ap10k.py"

phases = [
    dict(name="the head and the last stage", begin=0, frozen_stages=2),
    dict(name="stage 2 released", begin=4, frozen_stages=1),
    dict(name="stage 1 released", begin=8, frozen_stages=0),
]
model = dict(backbone=dict(frozen_stages=2))
optim_wrapper = dict(
    paramwise_cfg=dict(module_lr_mult=dict(backbone=0.5), frozen_stages=0, frozen_at_start=2)
)

balanced_pipeline = [
    step for step in _base_.mild_pipeline if step["type"] != "FastRandomBBoxTransform"
]
default_hooks = dict(
    phases=dict(type="StageUnfreezeHook", phases=phases, random_weights=True),
    augmentation=dict(
        type="PipelineSwitchHook", switches=[dict(begin=8, pipeline=balanced_pipeline)]
    ),
)
