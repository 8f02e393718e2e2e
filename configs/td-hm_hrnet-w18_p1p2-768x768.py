"""Ruler marks on cephalograms, HRNet-W18 at 768 × 768, batch 2: the rate falls on plateaus.

Command:   python tools/train.py configs/td-hm_hrnet-w18_p1p2-768x768.py --amp --data-root DIR
Weights:   fetched to data/checkpoints by the first run (tools/download_checkpoints.py, elsewhere)
Hardware:  a GPU of 4 GB (not tried yet), or days of a CPU
Expected:  from random weights 6.7 px of the radiograph after 5 epochs of 150, 30 minutes of one
           core (the mean place of the marks: 39 px; benchmarks/README.md); for how it goes on see
           the config of 512 px
"""

_base_ = [
    "_base_/runtime_p1p2.py",
    "_base_/models/hrnet_w18_ruler.py",
    "_base_/datasets/p1p2.py",
    "_base_/schedules/plateau_200e.py",
]

# The backbone starts from ImageNet, all of it trains. Random weights: --from-scratch.
load_from = "zoo://hrnet_w18_imagenet"
default_hooks = dict(start=dict(type="BackboneCheckpointHook"))

# sigma in heatmap cells, 4 px of the input each
codec = dict(type="SoftmaxHeatmap", input_size=(768, 768), heatmap_size=(192, 192), sigma=1.5)
model = dict(head=dict(decoder=codec))
train_dataloader = val_dataloader = test_dataloader = dict(batch_size=2, dataset=dict(codec=codec))
