"""HRNet-W32 for the 26 points of a horse, to start from AnimalPose: the network of AP-10K's twin.

Command:   python tools/train.py configs/hrnet_w32_animalpose.py --amp
Hardware:  a GPU (not tried yet)
Expected:  not measured yet
"""

_base_ = "hrnet_w32_ap10k.py"

# Published weights: tools/download_checkpoints.py hrnet_w32_animalpose
default_hooks = dict(remap=dict(source="animalpose"))
