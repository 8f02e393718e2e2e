"""Small twin for a CPU: 128 × 128, half the width, sample data.

Command:   python tools/train.py configs/smoke/rtmpose_m_ap10k.py --amp \\
               --data-root data/sample
Hardware:  two CPU cores, 5 minutes as two processes of one thread (tools/demo.py does that)
Expected:  AP 0.62, PCK@0.1 0.92 on 100 validation images after 1,000 training images (sample
           data, which shows that it works and says nothing about real horses)
"""

_base_ = ["../_base_/models/rtmpose_m.py", "../_base_/smoke_horse26.py"]

codec = dict(_base_.codec, input_size=(128, 128), sigma=(3.5, 3.5))  # px of the input
model = dict(
    # Without the last stage: features of stride 16, as those of stride 32 would be 4 × 4 cells.
    # A row a stage: channels in and out, blocks, identity, pooling pyramid.
    backbone=dict(
        deepen_factor=0.167,
        widen_factor=0.375,
        arch_ovewrite=[
            [64, 128, 3, True, False],
            [128, 256, 6, True, False],
            [256, 512, 6, True, False],
        ],
        out_indices=(3,),
    ),
    head=dict(in_channels=192, input_size=(128, 128), in_featuremap_size=(8, 8), decoder=codec),
)
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict(codec=codec))
