"""The small twin of rtmpose_timm_ap10k for a CPU: 128 × 128, sample data, ImageNet weights.

Command:   python tools/train.py configs/smoke/rtmpose_timm_ap10k.py --amp --data-root data/sample
Hardware:  two CPU cores
Expected:  not measured yet
"""

_base_ = "rtmpose_m_ap10k.py"

optim_wrapper = dict(optimizer=dict(lr=1e-3))
model = dict(
    data_preprocessor=dict(mean=[127.0] * 3, std=[128.0] * 3),
    backbone=dict(
        _delete_=True,
        type="TimmBackbone",
        model_name="efficientnet_lite0",
        weights="package",
        bn_eps=1e-3,
        out_indices=(3,),  # stride 16: 8 × 8 cells
    ),
    head=dict(in_channels=112),
)
