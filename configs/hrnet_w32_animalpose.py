"""HRNet-W32 for the 26 points of a horse, to start from AnimalPose: the network of AP-10K's twin.

Command:   python tools/train.py configs/hrnet_w32_animalpose.py --amp
Hardware:  a GPU (not tried yet)
Expected:  not measured yet
"""

_base_ = "hrnet_w32_ap10k.py"

# Published weights of this network, trained on AnimalPose's 20 points (its head does not fit 26):
# https://download.openmmlab.com/mmpose/animal/hrnet/hrnet_w32_animalpose_256x256-1aa7f075_20210426.pth
