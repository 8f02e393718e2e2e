"""mmcv's compiled operators, answered by torchvision or plain torch: one family a file.

Each function has the name, the argument names and the conventions of its twin in ``mmcv._ext``:
results go into the tensors that the caller hands over, unless mmcv expects a return value.
"""
