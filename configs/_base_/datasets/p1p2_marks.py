# The refine stage of ruler marks: one mark a sample, cut out of the radiograph at its own
# resolution and enlarged one and a half times where the radiograph is 1000 px high.
#
# To test both stages, give the places that the first one found, tools/test.py --report films.csv:
#   --cfg-options test_dataloader.dataset.marks_file=films.csv
_base_ = "p1p2.py"

dataset_type = "RulerMarkDataset"
crop_fraction = 0.128  # of the height: 128 px of 1000, about 31 mm of a radiograph of 240 mm

# Off by more than the first stage is, so that no place in the crop is more likely than another.
train_geometry = [
    *_base_.val_geometry,
    dict(
        type="FastRandomBBoxTransform",
        rotate_factor=15,
        rotate_prob=0.7,
        scale_factor=(0.75, 1.33),
        shift_factor=0.3,
        shift_prob=1.0,
    ),
]

train_pipeline = [*train_geometry, _base_.crop, *_base_.train_pixels, *_base_.pack]

# sigma in heatmap cells, 4 px of the input each
codec = dict(type="SoftmaxHeatmap", input_size=(192, 192), heatmap_size=(48, 48), sigma=1.5)
crops = dict(type=dataset_type, crop_fraction=crop_fraction, codec=codec)
train_dataloader = dict(batch_size=16, dataset=dict(crops, pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(batch_size=32, dataset=crops)
