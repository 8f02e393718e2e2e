# Lite-HRNet (https://arxiv.org/abs/2104.06403) of 4 branches, 48 channels in the finest, and a head
# of logits. A leaf gives it its decoder; `model.backbone.with_cp=True` trades time for memory.
_base_ = "topdown.py"

model = dict(
    backbone=dict(
        type="RecomputingLiteHRNet",
        in_channels=3,
        with_cp=False,
        extra=dict(
            stem=dict(stem_channels=32, out_channels=32, expand_ratio=1),
            num_stages=3,
            stages_spec=dict(
                num_modules=(2, 4, 2),
                num_branches=(2, 3, 4),
                num_blocks=(2, 2, 2),
                module_type=("LITE", "LITE", "LITE"),
                with_fuse=(True, True, True),
                reduce_ratios=(8, 8, 8),
                num_channels=((48, 96), (48, 96, 192), (48, 96, 192, 384)),
            ),
            with_head=True,
        ),
    ),
    head=dict(
        type="LogitHeatmapHead",
        in_channels=48,
        out_channels=17,
        deconv_out_channels=None,
        loss=dict(type="FocalL1HeatmapLoss", alpha=0.25, gamma=2.0, l1_weight=0.1),
    ),
)
