"""HRNet-W32 for the 26 points of a horse, to start from AnimalPose: the network of AP-10K's twin.

Command:   python tools/train.py configs/hrnet_w32_animalpose.py --amp
Weights:   fetched to data/checkpoints by the first run (tools/download_checkpoints.py, elsewhere),
           which shows their SHA-256 and asks once
Hardware:  a GPU (not tried yet)
Expected:  from AnimalPose weights not measured yet. From random weights early stopping ended it
           after 4 of 10 epochs of 333 horses, 7 minutes of one core, at PCK@0.1 0.006; its small
           twin gets to 0.75 (benchmarks/README.md)
"""

_base_ = "hrnet_w32_ap10k.py"

load_from = "zoo://hrnet_w32_animalpose"
default_hooks = dict(remap=dict(source="animalpose"))
