# What all loaders share; a data set adds its batch size and itself.
#
# Workers start anew each epoch, so that their seeds depend on the epoch alone and a resumed run
# draws what the uninterrupted one would have drawn.
loader = dict(
    num_workers=2, persistent_workers=False, worker_init_fn=dict(type="equikpt_worker_init_fn")
)
train_loader = dict(**loader, sampler=dict(type="DefaultSampler", shuffle=True))
# every image once, on however many processes
eval_loader = dict(
    **loader, drop_last=False, sampler=dict(type="DefaultSampler", shuffle=False, round_up=False)
)
