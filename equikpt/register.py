"""Everything that a config may name: importing this module registers it.

Configs import it by ``custom_imports``; it readies the OpenMMLab stack first, since
``mmpose.models`` does not import without it.
"""

import equikpt.codecs
import equikpt.datasets.capped_sampler
import equikpt.datasets.keypoint_sets
import equikpt.datasets.p1p2
import equikpt.datasets.point_sequence
import equikpt.datasets.transforms
import equikpt.engine.cpu.allocator_hook
import equikpt.engine.cpu.amp
import equikpt.engine.cpu.channels_last_hook
import equikpt.engine.cpu.depthwise_conv
import equikpt.engine.cpu.thread_budget_hook
import equikpt.engine.hooks.atomic_checkpoint_hook
import equikpt.engine.hooks.gradient_monitor_hook
import equikpt.engine.hooks.group_rates_hook
import equikpt.engine.hooks.keypoint_channels_hook
import equikpt.engine.hooks.pipeline_switch_hook
import equikpt.engine.hooks.prediction_sheet_hook
import equikpt.engine.hooks.progress_bar_hook
import equikpt.engine.hooks.remap_checkpoint_hook
import equikpt.engine.hooks.run_record_hook
import equikpt.engine.hooks.sequence_visualization_hook
import equikpt.engine.hooks.stage_unfreeze_hook
import equikpt.engine.hooks.teacher_forcing_noise_hook
import equikpt.engine.hooks.top_k_checkpoint_hook
import equikpt.engine.hooks.validation_state_hook
import equikpt.engine.layerwise_lr
import equikpt.engine.param_schedulers
import equikpt.engine.seeding
import equikpt.engine.val_log_processor
import equikpt.engine.wandb_backend
import equikpt.evaluation.counting_metric
import equikpt.evaluation.keypoint_metric
import equikpt.evaluation.pixel_ap_metric
import equikpt.evaluation.ruler_metric
import equikpt.models.backbones.freezing_cspnext
import equikpt.models.backbones.recomputing_litehrnet
import equikpt.models.backbones.timm_backbone
import equikpt.models.estimators.val_loss_estimator
import equikpt.models.heads.logit_heatmap_head
import equikpt.models.heads.multi_peak_head
import equikpt.models.heads.sequential_attention_head
import equikpt.models.losses.focal_l1_heatmap_loss
import equikpt.models.losses.funnel_loss
import equikpt.models.losses.spatial_softmax_loss
import equikpt.models.necks.finest_level_fpn  # noqa: F401
