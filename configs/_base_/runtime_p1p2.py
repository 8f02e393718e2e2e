# The runtime of runs on ruler marks: what they monitor is the mean error of a mark in px of the
# radiograph. `landmark/scale_error` or `val_loss` (rule="less" for all) do as well.
_base_ = "runtime.py"

default_hooks = dict(
    checkpoint=dict(interval=1, save_best="landmark/error_px", rule="less"),
    early_stopping=dict(monitor="landmark/error_px", rule="less", min_delta=1e-3, patience=30),
    ruler_limits=dict(type="RulerLimitsHook"),  # rulers unlike the labelled ones are refused
)

# As in runtime.py, but with an average of about 200 steps: runs on radiographs take a thousand or
# two, in which the average of longer runs hardly gets away from its last weights.
custom_hooks = [
    dict(type="EpochSeedHook"),
    dict(type="SyncBuffersHook"),
    dict(
        type="EMAHook",
        ema_type="ExpMomentumEMA",
        momentum=5e-3,
        gamma=200,
        update_buffers=True,
        priority="ABOVE_NORMAL",
    ),
]
