# One radiograph a sample, two ruler marks. A leaf names its codec, as with keypoints.py. The
# targets in validation are for val_loss.
_base_ = "loaders.py"

dataset_type = "P1P2Dataset"
data_mode = "topdown"
data_root = "data/"
ruler_mm = 10.0  # distance of the marks; about 20.6 on the radiographs of the ISBI 2015 challenge

val_geometry = [dict(type="LoadRadiograph"), dict(type="GetBBoxCenterScale", padding=1.0)]

# No flip and no half body: radiographs face one way, and a ruler has no half.
train_geometry = [
    *val_geometry,
    dict(
        type="FastRandomBBoxTransform",
        rotate_factor=12,
        rotate_prob=0.7,
        scale_factor=(0.75, 1.3),
        shift_factor=0.12,
        shift_prob=0.5,
    ),
]
train_pixels = [
    dict(type="DropOutsideKeypoints"),
    dict(
        type="AlbumentationsV2",
        transforms=[
            dict(
                type="RandomBrightnessContrast",
                brightness_limit=(-0.25, 0.2),
                contrast_limit=(-0.4, 0.3),
                p=0.6,
            ),
            dict(type="RandomGamma", gamma_limit=(60, 170), p=0.5),  # percent
            dict(type="GaussianBlur", blur_limit=0, sigma_limit=(0.3, 1.0), p=0.15),
            # per_channel is off: radiographs are gray
            dict(type="GaussNoise", std_range=(0.01, 0.08), per_channel=False, p=0.3),
        ],
    ),
    dict(type="RandomRadiographArtifacts"),
]

crop = dict(type="TopdownAffineCrop")
pack = [
    dict(type="GenerateTarget", use_dataset_keypoint_weights=True),
    dict(type="FastPackPoseInputs"),
]
train_pipeline = [*train_geometry, crop, *train_pixels, *pack]
val_pipeline = [*val_geometry, crop, *pack]

dataset = dict(
    type=dataset_type, data_root=data_root, data_mode=data_mode, data_prefix=dict(img="images/")
)
train_dataloader = dict(
    _base_.train_loader,
    batch_size=8,
    dataset=dict(dataset, pipeline=train_pipeline, ann_file="annotations_p1_p2_train.json"),
)
val_dataloader = dict(
    _base_.eval_loader,
    batch_size=8,
    dataset=dict(
        dataset, pipeline=val_pipeline, ann_file="annotations_p1_p2_val.json", test_mode=True
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type="RulerMetric", ruler_mm=ruler_mm)
test_evaluator = dict(type="RulerMetric", ruler_mm=ruler_mm)
