"""People of COCO in whole images: Lite-HRNet, a heatmap a keypoint type, a peak a person.

Command:   python tools/train.py configs/experimental/hm_litehrnet_coco-whole-256x256.py --amp
Hardware:  a GPU (not tried yet)
Expected:  COCO not measured. 28 images do not suffice: after 60 epochs of them (120 steps, 8
           minutes of one core) AP 0 on others. By heart, with a rate and a schedule of its own:
           AP 0.94 of points within 2 and 4 px of the input after 2,016 steps of 4
           (benchmarks/README.md)
"""

_base_ = [
    "../_base_/runtime_coco.py",
    "../_base_/models/litehrnet.py",
    "../_base_/datasets/coco17.py",
    "../_base_/schedules/warm_restarts_200e.py",
]

# sigma and min_peak_distance in heatmap cells, 4 px of the input each: 6 and 8 px
codec = dict(
    type="MultiPeakHeatmap",
    input_size=(256, 256),
    heatmap_size=(64, 64),
    sigma=1.5,
    min_peak_distance=2,
)
model = dict(
    type="ValLossBottomupEstimator",
    head=dict(type="MultiPeakHead", decoder=codec),
    train_cfg=dict(compute_acc=False),  # of one point a heatmap
    test_cfg=dict(flip_test=True, flip_mode="heatmap", shift_heatmap=False),
)

whole = dict(data_mode="bottomup", codec=codec)
train_dataloader = dict(dataset=dict(whole, pipeline=_base_.whole_train_pipeline))
val_dataloader = dict(dataset=dict(whole, pipeline=_base_.whole_val_pipeline))
test_dataloader = dict(dataset=dict(whole, pipeline=_base_.whole_val_pipeline))

val_evaluator = dict(type="PixelAPMetric", thresholds_px=(2, 4), _delete_=True)
test_evaluator = dict(type="PixelAPMetric", thresholds_px=(2, 4), _delete_=True)

default_hooks = dict(
    checkpoint=dict(save_best="pixel/AP"),
    early_stopping=dict(monitor="pixel/AP"),
    top_k=dict(monitor="pixel/AP"),
)
