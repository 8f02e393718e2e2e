"""The second look at ruler marks: HRNet-W18 on close-ups at the film's own resolution.

Command:   python tools/train.py configs/hrnet_w18_p1p2_refine.py --amp --data-root DIR
Both:      python tools/calibrate.py FILM… --config hrnet_w18_p1p2_768 --checkpoint FIRST.pth \
               --refine-config hrnet_w18_p1p2_refine --refine SECOND.pth
Test:      tools/test.py with test_dataloader.dataset.marks_file=films.csv of the first stage
Hardware:  a CPU with two cores, or a GPU (not tried yet)
Expected:  not measured yet
"""

_base_ = [
    "_base_/runtime_p1p2.py",
    "_base_/models/hrnet_w18_ruler.py",
    "_base_/datasets/p1p2_marks.py",
    "_base_/schedules/adamw_300e.py",
]

train_cfg = dict(max_epochs=60, val_interval=5)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, by_epoch=False, begin=0, end=100),
    dict(
        type="CosineAnnealingLR",
        eta_min_ratio=0.02,
        begin=20,
        end=60,
        T_max=40,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]

# sigma in heatmap cells, 4 px of the input each
codec = dict(type="SoftmaxHeatmap", input_size=(192, 192), heatmap_size=(48, 48), sigma=1.5)
model = dict(head=dict(decoder=codec))

crop = dict(type="TopdownAffineCrop", input_size=codec["input_size"])
pack = [
    dict(type="GenerateTarget", encoder=codec, use_dataset_keypoint_weights=True),
    dict(type="FastPackPoseInputs"),
]
train_pipeline = [*_base_.train_geometry, crop, *_base_.train_pixels, *pack]
val_pipeline = [*_base_.val_geometry, crop, *pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=val_pipeline))
