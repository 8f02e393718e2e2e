# The runtime of runs on ruler marks: what they monitor is the mean error of a mark in px of the
# film. `landmark/scale_error` or `val_loss` (rule="less" for all) do as well.
_base_ = "runtime.py"

default_hooks = dict(
    checkpoint=dict(interval=1, save_best="landmark/error_px", rule="less"),
    early_stopping=dict(monitor="landmark/error_px", rule="less", min_delta=1e-3, patience=30),
)
