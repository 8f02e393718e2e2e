# Features of strides 4 to 32, merged by a pyramid at stride 4, give one heatmap of logits a mark: a
# softmax over its cells instead of a height for each, of which nearly all would be background. A
# leaf gives the head its decoder.
_base_ = "efficientnet_lite0.py"

model = dict(
    backbone=dict(out_indices=(1, 2, 3, 4)),
    neck=dict(type="FinestLevelFPN", in_channels=(24, 40, 112, 320), out_channels=64),
    head=dict(
        type="HeatmapHead",
        in_channels=64,
        out_channels=2,
        deconv_out_channels=None,
        loss=dict(type="SpatialSoftmaxLoss"),
    ),
    visibility=dict(type="VisibilityBranch"),
    train_cfg=dict(compute_acc=False),  # of 5 % of the heatmap's side: of no use here
)
