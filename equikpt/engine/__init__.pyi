from .cpu.allocator_hook import AllocatorHook as AllocatorHook
from .cpu.amp import CpuAmpOptimWrapper as CpuAmpOptimWrapper
from .cpu.amp import enable_amp as enable_amp
from .cpu.channels_last_hook import ChannelsLastHook as ChannelsLastHook
from .cpu.depthwise_conv import DepthwiseGradHook as DepthwiseGradHook
from .cpu.thread_budget_hook import ThreadBudgetHook as ThreadBudgetHook
from .hooks.atomic_checkpoint_hook import AtomicCheckpointHook as AtomicCheckpointHook
from .hooks.gradient_monitor_hook import GradientMonitorHook as GradientMonitorHook
from .hooks.group_rates_hook import GroupRatesHook as GroupRatesHook
from .hooks.keypoint_channels_hook import KeypointChannelsHook as KeypointChannelsHook
from .hooks.pipeline_switch_hook import PipelineSwitchHook as PipelineSwitchHook
from .hooks.prediction_sheet_hook import PredictionSheetHook as PredictionSheetHook
from .hooks.progress_bar_hook import ProgressBarHook as ProgressBarHook
from .hooks.remap_checkpoint_hook import RemapCheckpointHook as RemapCheckpointHook
from .hooks.run_record_hook import RunRecordHook as RunRecordHook
from .hooks.sequence_visualization_hook import (
    SequenceVisualizationHook as SequenceVisualizationHook,
)
from .hooks.stage_unfreeze_hook import StageUnfreezeHook as StageUnfreezeHook
from .hooks.teacher_forcing_noise_hook import (
    TeacherForcingNoiseHook as TeacherForcingNoiseHook,
)
from .hooks.top_k_checkpoint_hook import TopKCheckpointHook as TopKCheckpointHook
from .hooks.validation_state_hook import ValidationStateHook as ValidationStateHook
from .layerwise_lr import LayerwiseLrConstructor as LayerwiseLrConstructor
from .param_schedulers import ChainedCosineRestartLR as ChainedCosineRestartLR
from .param_schedulers import WarmupLR as WarmupLR
from .seeding import EpochSeedHook as EpochSeedHook
from .seeding import seed_everything as seed_everything
from .val_log_processor import ValLogProcessor as ValLogProcessor
from .wandb_backend import IterationWandbVisBackend as IterationWandbVisBackend
