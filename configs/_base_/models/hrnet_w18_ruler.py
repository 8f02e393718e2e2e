# HRNet-W18 (https://arxiv.org/abs/1902.09212) with one 1 × 1 layer of logits, one heatmap a mark,
# whose softmax runs over all cells. With a squared error on heights instead, an empty heatmap is
# nearly right: the Gaussian covers a thousandth of it. A leaf gives the head its decoder;
# `model.backbone.with_cp=True` trades time for memory.
model = dict(
    type="ValLossTopdownEstimator",
    data_preprocessor=dict(
        type="PoseDataPreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type="HRNet",
        in_channels=3,
        with_cp=False,
        extra=dict(
            stage1=dict(
                num_modules=1,
                num_branches=1,
                block="BOTTLENECK",
                num_blocks=(4,),
                num_channels=(64,),
            ),
            stage2=dict(
                num_modules=1,
                num_branches=2,
                block="BASIC",
                num_blocks=(4, 4),
                num_channels=(18, 36),
            ),
            stage3=dict(
                num_modules=4,
                num_branches=3,
                block="BASIC",
                num_blocks=(4, 4, 4),
                num_channels=(18, 36, 72),
            ),
            stage4=dict(
                num_modules=3,
                num_branches=4,
                block="BASIC",
                num_blocks=(4, 4, 4, 4),
                num_channels=(18, 36, 72, 144),
            ),
        ),
    ),
    head=dict(
        type="HeatmapHead",
        in_channels=18,
        out_channels=2,
        deconv_out_channels=None,
        loss=dict(type="SpatialSoftmaxLoss"),
    ),
    train_cfg=dict(compute_acc=False),  # of 5 % of the heatmap's side: of no use here
)
