# The runtime of runs that point in sequences: they monitor the validation loss, best and newest
# checkpoints are kept apart, images show single steps, and given points get noise.
_base_ = "runtime_p1p2.py"

default_hooks = dict(
    checkpoint=dict(interval=1, save_best="val_loss", rule="less", max_keep_ckpts=2),
    early_stopping=dict(monitor="val_loss", rule="less", min_delta=1e-3, patience=5),
    images=dict(_delete_=True, type="SequenceVisualizationHook", interval=5),
)

custom_hooks = [
    *_base_.custom_hooks,
    dict(type="TeacherForcingNoiseHook", sigma=0.02, begin=0.0, end=0.3),
]
