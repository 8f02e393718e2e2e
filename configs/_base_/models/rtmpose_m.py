# RTMPose-m (https://arxiv.org/abs/2303.07399) as MMPose ships it, with its codec. A leaf gives both
# their sizes where the input is not 256 × 256.
_base_ = "topdown.py"

codec = dict(
    type="FastSimCCLabel",
    input_size=(256, 256),
    sigma=(5.66, 5.66),  # px of the input
    simcc_split_ratio=2.0,
    normalize=False,
    use_dark=False,
)
model = dict(
    backbone=dict(
        type="FreezingCSPNeXt",  # MMPose's CSPNeXt; frozen_stages works under DDP
        arch="P5",
        expand_ratio=0.5,
        deepen_factor=0.67,
        widen_factor=0.75,
        out_indices=(4,),
        channel_attention=True,
        norm_cfg=dict(type="BN"),
        # In place, autograd copies each activation first: SiLU's gradient needs its input.
        act_cfg=dict(type="SiLU", inplace=False),
    ),
    head=dict(
        type="RTMCCHead",
        in_channels=768,
        out_channels=26,
        input_size=(256, 256),
        in_featuremap_size=(8, 8),
        simcc_split_ratio=2.0,
        final_layer_kernel_size=7,
        gau_cfg=dict(
            hidden_dims=256,
            s=128,
            expansion_factor=2,
            dropout_rate=0.0,
            drop_path=0.0,
            act_fn="SiLU",
            use_rel_bias=False,
            pos_enc=False,
        ),
        loss=dict(type="KLDiscretLoss", use_target_weight=True, beta=10.0, label_softmax=True),
        decoder=codec,
    ),
    visibility=dict(type="VisibilityBranch"),
    test_cfg=dict(flip_test=True),
)
