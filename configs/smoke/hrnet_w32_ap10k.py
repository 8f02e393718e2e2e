"""Small twin for a CPU: 128 × 128, half the width, sample data.

Command:   python tools/train.py configs/smoke/hrnet_w32_ap10k.py --amp \\
               --data-root data/sample
Hardware:  two CPU cores
Expected:  AP 0.31, PCK@0.1 0.75 on 93 real horses after its 17 epochs of 333, 1.7 minutes of one
           core; the mean pose has PCK@0.1 0.24 (benchmarks/README.md)
"""

_base_ = ["../_base_/models/hrnet_w32.py", "../_base_/smoke_horse26.py"]

codec = dict(
    type="FastMSRAHeatmap", input_size=(128, 128), heatmap_size=(32, 32), sigma=2, unbiased=True
)
model = dict(
    backbone=dict(
        extra=dict(
            stage1=dict(num_channels=(16,), num_blocks=(2,)),
            stage2=dict(num_channels=(16, 32), num_blocks=(2, 2)),
            stage3=dict(num_modules=1, num_channels=(16, 32, 64), num_blocks=(2, 2, 2)),
            stage4=dict(num_modules=1, num_channels=(16, 32, 64, 128), num_blocks=(2, 2, 2, 2)),
        )
    ),
    head=dict(in_channels=16, decoder=codec),
)
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict(codec=codec))
