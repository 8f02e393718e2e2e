# Up to 200 epochs; the rate falls to a tenth each time the error has not fallen for 10 epochs. What
# it monitors stands in runtime_p1p2.py for early stopping as well.
_base_ = "adamw.py"

train_cfg = dict(max_epochs=200)

optim_wrapper = dict(optimizer=dict(lr=1e-3, weight_decay=0.01))
plateau = dict(
    type="ReduceOnPlateauLR", monitor="landmark/error_px", rule="less", factor=0.1, threshold=1e-3
)
param_scheduler = [
    dict(type="WarmupLR", start_factor=1e-3, end=3, convert_to_iter_based=True),
    dict(plateau, patience=10, begin=5),
]
# for the small twins
plateau_10e = [
    dict(type="WarmupLR", start_factor=1e-2, end=1, convert_to_iter_based=True),
    dict(plateau, patience=3, begin=1),
]
auto_scale_lr = dict(base_batch_size=2)
