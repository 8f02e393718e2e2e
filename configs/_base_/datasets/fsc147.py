# Images of FSC-147 with the places of unnamed things, in its own layout. A leaf names its codec,
# as with keypoints.py. The targets in validation are for val_loss.
_base_ = "loaders.py"

dataset_type = "PointSequenceDataset"
data_root = "data/fsc147/"
ann_file = "annotation_FSC147_384.json"
split_file = "Train_Test_Val_FSC_147.json"
data_prefix = dict(img="images_384_VarV2/")
max_points = 64  # images with more are left out

val_geometry = [dict(type="LoadCachedImage"), dict(type="GetBBoxCenterScale", padding=1.0)]
train_geometry = [
    *val_geometry,
    # any way up: what is counted has no upright, and a few hundred images are soon known by heart
    dict(
        type="RandomFlipKeypoints",
        prob=[0.25, 0.25, 0.25],
        direction=["horizontal", "vertical", "diagonal"],
    ),
    dict(
        type="FastRandomBBoxTransform",
        rotate_factor=45,
        scale_factor=(0.7, 1.4),
        shift_factor=0.08,
        shift_prob=0.5,
    ),
]
train_pixels = [
    dict(type="DropOutsideKeypoints"),
    dict(
        type="AlbumentationsV2",
        transforms=[
            dict(
                type="ColorJitter",
                brightness=(0.8, 1.2),
                contrast=(0.7, 1.3),
                saturation=(0.7, 1.3),
                hue=(-0.05, 0.05),  # 9 of OpenCV's 180
                p=0.7,
            ),
            dict(type="GaussianBlur", blur_limit=0, sigma_limit=(0.3, 1.0), p=0.1),
            dict(type="GaussNoise", std_range=(0.01, 0.05), p=0.1),
        ],
    ),
]

crop = dict(type="TopdownAffineCrop")
pack = [dict(type="GenerateTarget"), dict(type="FastPackPoseInputs")]
train_pipeline = [*train_geometry, crop, *train_pixels, *pack]
val_pipeline = [*val_geometry, crop, *pack]

dataset = dict(
    type=dataset_type,
    data_root=data_root,
    ann_file=ann_file,
    split_file=split_file,
    data_prefix=data_prefix,
    max_points=max_points,
)
train_dataloader = dict(
    _base_.train_loader,
    batch_size=4,
    sampler=dict(type="CappedSampler", max_samples=12000, shuffle=True),  # 3000 steps an epoch
    dataset=dict(dataset, pipeline=train_pipeline, split="train"),
)
val_dataloader = dict(
    _base_.eval_loader,
    batch_size=2,
    sampler=dict(
        type="CappedSampler", max_samples=1000, shuffle=False, round_up=False
    ),  # 500 steps
    dataset=dict(dataset, pipeline=val_pipeline, split="val", test_mode=True),
)
test_dataloader = dict(
    _base_.eval_loader,
    batch_size=2,
    dataset=dict(dataset, pipeline=val_pipeline, split="test", test_mode=True),
)

# radius in px of the input
val_evaluator = dict(type="CountingMetric", radius_px=20)
test_evaluator = dict(type="CountingMetric", radius_px=20, log_table=True)
