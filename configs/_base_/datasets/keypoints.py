# One animal a sample, any keypoint set. A leaf names the set and its codec, which fills crops and
# targets:
#
#   codec = dict(type="FastSimCCLabel", input_size=(256, 256), …)
#   dataset = dict(metainfo=dict(from_file="keypoints.py"), codec=codec)
#   model = dict(head=dict(out_channels=17, decoder=codec))
#   train_dataloader = val_dataloader = test_dataloader = dict(dataset=dataset)
_base_ = "loaders.py"

dataset_type = "KeypointDataset"
data_mode = "topdown"
data_root = "data/"

# The transforms and codecs named Fast…, …Cached… and …Crop are MMPose's own with the same output;
# the first decodes an image once (max_bytes=0: each time).
val_geometry = [dict(type="LoadCachedImage"), dict(type="GetBBoxCenterScale", padding=1.25)]

# On the raw image: only the box moves, TopdownAffineCrop cuts it out once.
train_geometry = [
    *val_geometry,
    dict(type="RandomFlipKeypoints", prob=0.5, direction="horizontal"),
    dict(type="RandomHalfBodyCrop", prob=0.3),
    # Normal draws cut off at one sigma: the stated numbers are the bounds. The scale is that of the
    # box (0.7: the horse gets larger). Probabilities and the shift, 0.16 of the padded box, are
    # MMPose's own.
    dict(type="FastRandomBBoxTransform", rotate_factor=40, scale_factor=(0.7, 1.3)),
]

# On the crop of the model's input, which is smaller than the image. MMPose's
# PhotometricDistortion is not used: it applies contrast twice or never, wraps hues at 256 instead
# of 180, and swaps channels.
train_pixels = [
    dict(type="DropOutsideKeypoints"),
    dict(
        type="AlbumentationsV2",
        transforms=[
            dict(
                type="RandomBrightnessContrast",
                brightness_limit=(-32 / 255, 32 / 255),  # added, as a fraction of 255
                contrast_limit=(-0.5, 0.5),  # factor less 1
                p=0.5,
            ),
            dict(
                type="ColorJitter",
                brightness=(1, 1),
                contrast=(1, 1),
                saturation=(0.5, 1.5),
                hue=(-0.1, 0.1),  # 18 of OpenCV's 180
                p=0.5,
            ),
            dict(type="GaussianBlur", blur_limit=0, sigma_limit=(0.5, 2.0), p=0.1),
            dict(type="GaussNoise", std_range=(0.02, 0.1), p=0.1),
            dict(
                type="CoarseDropout",
                num_holes_range=(1, 4),
                hole_height_range=(0.05, 0.15),
                hole_width_range=(0.05, 0.15),
                fill="random_uniform",
                p=0.1,
            ),
        ],
    ),
    dict(type="RandomOcclusion", prob=0.2),
]

# Milder, for later phases of a training that began with the above.
balanced_geometry = [
    *val_geometry,
    dict(type="RandomFlipKeypoints", prob=0.5, direction="horizontal"),
    dict(
        type="FastRandomBBoxTransform",
        rotate_factor=20,
        scale_factor=(0.85, 1.15),
        shift_factor=0.08,
    ),
]
balanced_pixels = [
    dict(type="DropOutsideKeypoints"),
    dict(
        type="AlbumentationsV2",
        transforms=[
            dict(
                type="RandomBrightnessContrast",
                brightness_limit=(-16 / 255, 16 / 255),
                contrast_limit=(-0.25, 0.25),
                p=0.5,
            ),
        ],
    ),
    dict(type="RandomOcclusion", prob=0.1),
]

# Milder still, for the small twins: minutes do not suffice to learn every turn, size and light.
mild_geometry = [
    *val_geometry,
    dict(type="RandomFlipKeypoints", prob=0.5, direction="horizontal"),
    dict(
        type="FastRandomBBoxTransform",
        rotate_factor=15,
        rotate_prob=0.3,
        scale_factor=(0.85, 1.15),
        shift_factor=0.05,
        shift_prob=0.1,
    ),
]

crop = dict(type="TopdownAffineCrop")
target = dict(type="GenerateTarget", use_dataset_keypoint_weights=True)
val_target = dict(type="GenerateValTarget", use_dataset_keypoint_weights=True)
pack = dict(type="FastPackPoseInputs")
train_pipeline = [*train_geometry, crop, *train_pixels, target, pack]
balanced_pipeline = [*balanced_geometry, crop, *balanced_pixels, target, pack]
mild_pipeline = [*mild_geometry, crop, dict(type="DropOutsideKeypoints"), target, pack]
val_pipeline = [*val_geometry, crop, val_target, pack]

dataset = dict(type=dataset_type, data_root=data_root, data_mode=data_mode)
train_dataloader = dict(
    _base_.train_loader,
    batch_size=16,
    dataset=dict(
        dataset,
        pipeline=train_pipeline,
        ann_file="annotations/train.json",
        data_prefix=dict(img="images/train/"),
    ),
)
val_dataloader = dict(
    _base_.eval_loader,
    batch_size=32,
    dataset=dict(
        dataset,
        pipeline=val_pipeline,
        ann_file="annotations/val.json",
        data_prefix=dict(img="images/val/"),
        test_mode=True,
    ),
)
test_dataloader = dict(
    _base_.eval_loader,
    batch_size=32,
    dataset=dict(
        dataset,
        pipeline=val_pipeline,
        ann_file="annotations/test.json",
        data_prefix=dict(img="images/test/"),
        test_mode=True,
    ),
)

# Without ann_file the ground truth comes with the samples: images that are missing on disk leave
# the evaluation too, instead of counting as animals that were not found.
val_evaluator = [dict(type="CocoMetric"), dict(type="KeypointMetric")]
test_evaluator = val_evaluator
