# As long as a project's minutes: a short warm-up, a flat half, a cosine down to a fiftieth. The
# project makes its list of the two:
#
#   param_scheduler = [
#       dict(_base_.warm_up, end=3), dict(_base_.cosine, begin=epochs // 2, end=epochs)
#   ]
_base_ = "adamw.py"

warm_up = dict(type="WarmupLR", start_factor=1e-3, convert_to_iter_based=True)
cosine = dict(type="CosineAnnealingLR", eta_min_ratio=0.02, convert_to_iter_based=True)
auto_scale_lr = dict(base_batch_size=16)
