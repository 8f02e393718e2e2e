# What every run shares: registration, hooks, logging, seeds. Leaf configs add a model, a
# data set (`datasets/`) and a schedule (`schedules/`).
default_scope = "mmpose"
custom_imports = dict(imports=["equikpt.register"], allow_failed_imports=False)

default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=10),
    param_scheduler=dict(type="ParamSchedulerHook"),
    # Two are kept: where the newest is damaged, a run is resumed from the one before.
    checkpoint=dict(
        type="AtomicCheckpointHook",
        interval=5,
        save_best="coco/AP",
        rule="greater",
        max_keep_ckpts=2,
    ),
    run_record=dict(type="RunRecordHook"),  # run.json, for the monitor and the report
    validation_state=dict(type="ValidationStateHook"),
    sampler_seed=dict(type="DistSamplerSeedHook"),
    visualization=dict(type="PoseVisualizationHook", enable=False),
    # Ground truth and prediction side by side, each few epochs; off by `interval=None`.
    images=dict(type="PredictionSheetHook", interval=5, num_instances=6),
    progress_bar=dict(type="ProgressBarHook"),
    group_rates=dict(type="GroupRatesHook"),
    keypoint_channels=dict(type="KeypointChannelsHook"),
    trained_keypoints=dict(type="TrainedKeypointsHook"),  # those without a label are never output
    uncertainty=dict(type="UncertaintyHook"),  # radii and scores, fitted to each validation
    training_features=dict(type="TrainingFeaturesHook"),  # images unlike them are refused
    gradients=dict(type="GradientMonitorHook", interval=50),
    unlabelled=dict(type="UnlabelledHook", source=None),  # train --unlabelled FOLDER|FILE.json
    # MMEngine's own min_delta is 0.1: a tenth of AP. Patience counts validations.
    early_stopping=dict(
        type="EarlyStoppingHook", monitor="coco/AP", rule="greater", min_delta=1e-3, patience=20
    ),
    # Speed; each is off by `enabled=False`.
    allocator=dict(type="AllocatorHook"),
    thread_budget=dict(type="ThreadBudgetHook"),
    channels_last=dict(type="ChannelsLastHook"),
    depthwise_grad=dict(type="DepthwiseGradHook"),
)

# A list replaces the inherited one: a config that adds a hook repeats these.
custom_hooks = [
    dict(type="EpochSeedHook"),  # a resumed run draws what the uninterrupted one would have drawn
    dict(type="SyncBuffersHook"),  # BN statistics are equal on every rank before validation
    dict(
        type="EMAHook",
        ema_type="ExpMomentumEMA",
        momentum=2e-4,
        update_buffers=True,
        priority="ABOVE_NORMAL",  # before the checkpoint is written and the metric computed
    ),
]

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    dist_cfg=dict(backend="nccl"),
)
randomness = dict(seed=0, deterministic=False)

vis_backends = [
    dict(type="LocalVisBackend"),
    dict(type="TensorboardVisBackend"),
    # W&B (requirements/wandb.txt), without an account: WANDB_MODE=offline
    # dict(type="IterationWandbVisBackend", init_kwargs=dict(project="equikpt")),
]
visualizer = dict(type="PoseLocalVisualizer", vis_backends=vis_backends, name="visualizer")
log_processor = dict(type="ValLogProcessor", window_size=20, by_epoch=True, num_digits=6)
log_level = "INFO"

load_from = None
resume = False
backend_args = dict(backend="local")

val_cfg = dict()
test_cfg = dict()
