# A head that points at one thing after another, on features of stride 8: strides 8 to 32 merged by
# a small pyramid. A leaf gives the head its codec and the most points it may have to give.
_base_ = "efficientnet_lite0.py"

model = dict(
    neck=dict(type="FinestLevelFPN", in_channels=(40, 112, 320), out_channels=128),
    head=dict(
        type="SequentialAttentionHead",
        in_channels=128,
        # places are in -1 to 1 over the input: 0.1 is a twentieth of its side
        attention=dict(width=128, heads=4, memory_layers=2, num_glimpses=4),
        # so much that the glimpses learn as much from places as from done
        loss=dict(type="FunnelLoss", threshold=0.1, tail="linear", loss_weight=50.0),
        done_weight=3.0,
        # the one step in N + 1 that says done weighs as much as all others
        done_balance="balanced",
    ),
)
