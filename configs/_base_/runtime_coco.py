# The runtime of runs on people: the best three checkpoints are kept.
_base_ = "runtime.py"

default_hooks = dict(top_k=dict(type="TopKCheckpointHook", k=3, monitor="coco/AP"))
