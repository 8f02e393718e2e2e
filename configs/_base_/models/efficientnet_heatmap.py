# Features of strides 8, 16 and 32 side by side give heatmaps of stride 8. A leaf gives the head its
# decoder.
_base_ = "efficientnet_lite0.py"

model = dict(
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
