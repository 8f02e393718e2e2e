"""rtmpose_m_ap10k in three phases: head and late stages first, then stage after stage.

Command:   python tools/train.py configs/experimental/rtmpose_m_ap10k_phases.py --amp
Weights:   fetched to data/checkpoints by the first run (tools/download_checkpoints.py, elsewhere)
Hardware:  a GPU (not tried yet) or a CPU
Expected:  from AP-10K weights not measured yet. From a RTMPose-m that 11 minutes on 333 horses had
           not taught, and with stage 3 frozen too, early stopping ended it at once: PCK@0.1 0.22,
           the mean pose has 0.24 (benchmarks/README.md)
"""

_base_ = [
    "../_base_/runtime.py",
    "../_base_/models/rtmpose_m.py",
    "../_base_/datasets/horse26.py",
    "../_base_/schedules/three_phases_300e.py",
]

model = dict(backbone=dict(frozen_stages=_base_.phases[0]["frozen_stages"]))
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict(codec=_base_.codec))

load_from = "zoo://rtmpose_m_ap10k"
default_hooks = dict(
    remap=dict(type="RemapCheckpointHook", source="ap10k"),
    phases=dict(type="StageUnfreezeHook", phases=_base_.phases),
    augmentation=dict(
        type="PipelineSwitchHook",
        switches=[dict(begin=_base_.phases[1]["begin"], pipeline=_base_.balanced_pipeline)],
    ),
)
