"""People of COCO, top-down: Lite-HRNet-18, heatmaps of logits, focal + L1 loss.

Command:   python tools/train.py configs/td-hm_litehrnet_coco-256x192.py --amp
Weights:   fetched to data/checkpoints by the first run (tools/download_checkpoints.py, elsewhere),
           which shows their SHA-256 and asks once
Hardware:  a GPU (not tried yet)
Expected:  from COCO's weights not measured. From random ones, with 48 channels instead of 40, 86
           people do not suffice: after 36 epochs of them (216 steps, 14 minutes of one core)
           PCK@0.1 0.09 on others, below the mean pose's 0.20. Its small twin learns them by heart
           at another rate (benchmarks/README.md)
"""

_base_ = [
    "_base_/runtime_coco.py",
    "_base_/models/litehrnet.py",
    "_base_/datasets/coco17.py",
    "_base_/schedules/warm_restarts_200e.py",
]

# The backbone starts from COCO's keypoints; the head, whose heatmaps are logits here, from random
# weights. All of them at random: --from-scratch. Lite-HRNet freezes no stages; a tenth of the rate
# for the backbone: optim_wrapper.paramwise_cfg.module_lr_mult.backbone=0.1
load_from = "zoo://litehrnet_18_coco"
default_hooks = dict(start=dict(type="BackboneCheckpointHook"))

# sigma in heatmap cells, 4 px of the input each: 6 px
codec = dict(
    type="FastMSRAHeatmap", input_size=(192, 256), heatmap_size=(48, 64), sigma=1.5, unbiased=True
)
model = dict(
    # the widths of the published weights; models/litehrnet.py has 48
    backbone=dict(
        extra=dict(stages_spec=dict(num_channels=((40, 80), (40, 80, 160), (40, 80, 160, 320))))
    ),
    head=dict(in_channels=40, decoder=codec),
    visibility=dict(type="VisibilityBranch"),
    test_cfg=dict(flip_test=True, flip_mode="heatmap", shift_heatmap=True),
)
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict(codec=codec))
