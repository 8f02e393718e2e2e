# COCO's people, 17 keypoints, in its own layout. A leaf names its codec, as with keypoints.py.
# Half a download is trained on as far as it got (max_missing_share).
_base_ = "topdown.py"

dataset_type = "Coco17Dataset"
data_root = "data/coco/"

# Colours, light, blur and noise, and holes over points, which become hidden.
colours = [
    dict(type="HueSaturationValue", p=0.3),
    dict(type="RandomGamma", gamma_limit=(80, 120), p=0.2),  # percent
    dict(type="CLAHE", clip_limit=(1, 4), p=0.1),
    dict(
        type="OneOf",
        transforms=[
            dict(type="MotionBlur", blur_limit=(3, 7), p=1.0),
            dict(type="GaussianBlur", blur_limit=0, sigma_limit=(0.5, 2.0), p=1.0),
            dict(type="ISONoise", p=1.0),
        ],
        p=0.2,
    ),
    dict(
        type="CoarseDropout",
        num_holes_range=(1, 6),
        hole_height_range=(0.05, 0.12),
        hole_width_range=(0.05, 0.12),
        fill="random_uniform",
        p=0.2,
    ),
    # one large hole, as Cutout makes it
    dict(
        type="CoarseDropout",
        num_holes_range=(1, 1),
        hole_height_range=(0.2, 0.3),
        hole_width_range=(0.2, 0.3),
        fill=0,
        p=0.1,
    ),
]

# One person, cut out of the image by its box: the labelled one, in validation too. Boxes of a
# detector: `val_dataloader.dataset.bbox_file` (COCO results).
train_pixels = [
    dict(type="DropOutsideKeypoints"),
    dict(type="RandomElastic", prob=0.1),
    dict(
        type="AlbumentationsV2",
        transforms=[dict(type="Perspective", scale=(0.02, 0.08), p=0.2), *colours],
    ),
]

train_pipeline = [*_base_.train_geometry, _base_.crop, *train_pixels, _base_.target, _base_.pack]

# Whole images, all people at once. What moves points moves masks too, so that is the affine map
# and the flip alone.
whole_train_geometry = [
    dict(type="LoadCachedImage"),
    dict(
        type="BottomupRandomAffine",
        scale_type="long",
        scale_factor=(0.75, 1.5),
        rotate_factor=30,
        shift_factor=0.1,
        bbox_keep_corner=False,  # as left, top, right, bottom
    ),
    dict(type="RandomFlipKeypoints", prob=0.5, direction="horizontal"),
]
whole_train_pipeline = [
    *whole_train_geometry,
    dict(type="AlbumentationsV2", transforms=colours),
    dict(type="GenerateTarget"),
    dict(type="MaskUnlabelled"),
    _base_.pack,
]
whole_val_pipeline = [
    dict(type="LoadCachedImage"),
    dict(type="WholeImageResize"),
    dict(type="GenerateValTarget"),
    dict(type="MaskUnlabelled"),
    _base_.pack,
]

dataset = dict(type=dataset_type, data_root=data_root, data_mode="topdown", max_missing_share=0.5)
train_dataloader = dict(
    _base_.train_loader,
    batch_size=16,
    num_workers=4,
    dataset=dict(
        dataset,
        pipeline=train_pipeline,
        ann_file="annotations/person_keypoints_train2017.json",
        data_prefix=dict(img="train2017/"),
    ),
)
val_dataloader = dict(
    _base_.eval_loader,
    batch_size=32,
    num_workers=4,
    dataset=dict(
        dataset,
        pipeline=_base_.val_pipeline,
        ann_file="annotations/person_keypoints_val2017.json",
        data_prefix=dict(img="val2017/"),
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

test_evaluator = [
    dict(type="CocoMetric"),
    dict(type="KeypointMetric", log_table=True),
    dict(type="VisibilityMetric"),
    dict(type="InversionMetric"),
]
