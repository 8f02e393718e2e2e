"""Small twin for a CPU: the same as the one of hrnet_w32_ap10k.

Command:   python tools/train.py configs/smoke/hrnet_w32_animalpose.py --amp \\
               --data-root data/sample
Hardware:  two CPU cores
"""

_base_ = "hrnet_w32_ap10k.py"
