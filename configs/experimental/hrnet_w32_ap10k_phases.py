"""hrnet_w32_ap10k in three phases: head and late stages first, then stage after stage.

Command:   python tools/train.py configs/experimental/hrnet_w32_ap10k_phases.py --amp
Weights:   fetched to data/checkpoints by the first run (tools/download_checkpoints.py, elsewhere)
Hardware:  a GPU (not tried yet)
Expected:  not measured yet
"""

_base_ = [
    "../_base_/runtime.py",
    "../_base_/models/hrnet_w32.py",
    "../_base_/datasets/horse26.py",
    "../_base_/schedules/three_phases_300e.py",
]

# sigma in heatmap cells, 4 px of the input each
codec = dict(
    type="FastMSRAHeatmap", input_size=(256, 256), heatmap_size=(64, 64), sigma=2, unbiased=True
)
model = dict(
    backbone=dict(frozen_stages=_base_.phases[0]["frozen_stages"]), head=dict(decoder=codec)
)
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict(codec=codec))

load_from = "zoo://hrnet_w32_ap10k"
default_hooks = dict(
    remap=dict(type="RemapCheckpointHook", source="ap10k"),
    phases=dict(type="StageUnfreezeHook", phases=_base_.phases),
    augmentation=dict(
        type="PipelineSwitchHook",
        switches=[dict(begin=_base_.phases[1]["begin"], pipeline=_base_.balanced_pipeline)],
    ),
)
