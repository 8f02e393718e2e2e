# What data sets in COCO JSON share: one animal or person a sample, cut out of the image by its box.
_base_ = "loaders.py"

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

crop = dict(type="TopdownAffineCrop")
target = dict(type="GenerateTarget", use_dataset_keypoint_weights=True)
val_target = dict(type="GenerateValTarget", use_dataset_keypoint_weights=True)
pack = dict(type="FastPackPoseInputs")
val_pipeline = [*val_geometry, crop, val_target, pack]

# Without ann_file the ground truth comes with the samples: images that are missing on disk leave
# the evaluation too, instead of counting as animals that were not found.
val_evaluator = [
    dict(type="CocoMetric"),
    dict(type="KeypointMetric"),
    dict(type="VisibilityMetric"),
]
