# The runtime of runs that point in sequences: they monitor the validation loss, best and newest
# checkpoints are kept apart, images show single steps, and given points get noise.
_base_ = "runtime.py"

default_hooks = dict(
    checkpoint=dict(interval=1, save_best="val_loss", rule="less", max_keep_ckpts=2),
    early_stopping=dict(monitor="val_loss", rule="less", min_delta=1e-3, patience=5),
    images=dict(_delete_=True, type="SequenceVisualizationHook", interval=5),
)

# As in runtime.py, but with an average of about 200 steps, and the noise.
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
    dict(type="TeacherForcingNoiseHook", sigma=0.02, begin=0.0, end=0.3),
]
