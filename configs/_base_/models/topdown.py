# What all networks share whose weights were trained with ImageNet's mean and deviation.
model = dict(
    type="ValLossTopdownEstimator",
    data_preprocessor=dict(
        type="PoseDataPreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
)
