# One animal a sample, any keypoint set. A leaf names the set and its codec, which fills crops and
# targets:
#
#   codec = dict(type="FastSimCCLabel", input_size=(256, 256), …)
#   dataset = dict(metainfo=dict(from_file="keypoints.py"), codec=codec)
#   model = dict(head=dict(out_channels=17, decoder=codec))
#   train_dataloader = val_dataloader = test_dataloader = dict(dataset=dataset)
_base_ = "topdown.py"

dataset_type = "KeypointDataset"
data_mode = "topdown"
data_root = "data/"

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
    *_base_.val_geometry,
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
    *_base_.val_geometry,
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

target, pack = _base_.target, _base_.pack
train_pipeline = [*_base_.train_geometry, _base_.crop, *train_pixels, target, pack]
balanced_pipeline = [*balanced_geometry, _base_.crop, *balanced_pixels, target, pack]
mild_pipeline = [*mild_geometry, _base_.crop, dict(type="DropOutsideKeypoints"), target, pack]

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
        pipeline=_base_.val_pipeline,
        ann_file="annotations/val.json",
        data_prefix=dict(img="images/val/"),
        test_mode=True,
    ),
)
test_dataloader = dict(
    val_dataloader,
    dataset=dict(
        val_dataloader["dataset"],
        ann_file="annotations/test.json",
        data_prefix=dict(img="images/test/"),
    ),
)

test_evaluator = [*_base_.val_evaluator, dict(type="InversionMetric")]
