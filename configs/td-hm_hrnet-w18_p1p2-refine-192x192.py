"""The refine stage of ruler marks: HRNet-W18 on crops at the radiograph's own resolution.

Command:   python tools/train.py td-hm_hrnet-w18_p1p2-refine-192x192 --amp --data-root DIR
Both:      python tools/calibrate.py RADIOGRAPH… --config td-hm_hrnet-w18_p1p2-768x768 \
               --checkpoint FIRST.pth --refine-config td-hm_hrnet-w18_p1p2-refine-192x192 \
               --refine SECOND.pth
Test:      tools/test.py with test_dataloader.dataset.marks_file=films.csv of the first stage
Weights:   fetched to data/checkpoints by the first run (tools/download_checkpoints.py, elsewhere)
Hardware:  a CPU with two cores, or a GPU (not tried yet)
Expected:  from random weights 0.35 px of the radiograph after 20 epochs of 150 radiographs, 13
           minutes of one core; td-hm_efficientnet-lite0_p1p2-refine-192x192, from ImageNet
           weights, 0.31 px after 40 (benchmarks/README.md)
"""

_base_ = [
    "_base_/runtime_p1p2.py",
    "_base_/models/hrnet_w18_ruler.py",
    "_base_/datasets/p1p2_marks.py",
    "_base_/schedules/adamw_60e.py",
]

# The backbone starts from ImageNet, all of it trains. Random weights: --from-scratch.
load_from = "zoo://hrnet_w18_imagenet"
default_hooks = dict(start=dict(type="BackboneCheckpointHook"))

# a crop around one mark says nothing of the other
model = dict(head=dict(decoder=_base_.codec), visibility=None)
