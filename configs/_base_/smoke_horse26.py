# What the small twins of horse26 share; a leaf adds a model and its codec.
_base_ = ["runtime.py", "datasets/horse26.py", "schedules/smoke_17e.py"]

default_hooks = dict(logger=dict(interval=5), checkpoint=dict(interval=5))

train_dataloader = dict(num_workers=1, dataset=dict(pipeline=_base_.mild_pipeline))
val_dataloader = test_dataloader = dict(num_workers=1)
