# HRNet-W18 (https://arxiv.org/abs/1902.09212) with one 1 × 1 layer of logits, one heatmap a mark,
# whose softmax runs over all cells. With a squared error on heights instead, an empty heatmap is
# nearly right: the Gaussian covers a thousandth of it. A leaf gives the head its decoder;
# `model.backbone.with_cp=True` trades time for memory.
_base_ = "hrnet_w32.py"

model = dict(
    type="ValLossTopdownEstimator",
    backbone=dict(
        with_cp=False,
        extra=dict(
            stage2=dict(num_channels=(18, 36)),
            stage3=dict(num_channels=(18, 36, 72)),
            stage4=dict(num_channels=(18, 36, 72, 144)),
        ),
    ),
    head=dict(in_channels=18, out_channels=2, loss=dict(type="SpatialSoftmaxLoss", _delete_=True)),
    train_cfg=dict(compute_acc=False),  # of 5 % of the heatmap's side: of no use here
    test_cfg=dict(_delete_=True),  # no flip test: radiographs face one way
)
