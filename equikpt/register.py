"""Everything that a config may name: importing this module registers it.

Configs import it by ``custom_imports``; it readies the OpenMMLab stack first, since
``mmpose.models`` does not import without it.
"""

from equikpt import stack

stack.ready()

import equikpt.codecs  # noqa: E402
import equikpt.datasets.capped_sampler  # noqa: E402
import equikpt.datasets.coco17  # noqa: E402
import equikpt.datasets.horse26  # noqa: E402
import equikpt.datasets.p1p2  # noqa: E402
import equikpt.datasets.point_sequence  # noqa: E402
import equikpt.datasets.ruler_marks  # noqa: E402
import equikpt.datasets.transforms  # noqa: E402
import equikpt.engine.amp  # noqa: E402
import equikpt.engine.hooks.allocator_hook  # noqa: E402
import equikpt.engine.hooks.atomic_checkpoint_hook  # noqa: E402
import equikpt.engine.hooks.channels_last_hook  # noqa: E402
import equikpt.engine.hooks.depthwise_grad_hook  # noqa: E402
import equikpt.engine.hooks.epoch_seed_hook  # noqa: E402
import equikpt.engine.hooks.given_point_noise_hook  # noqa: E402
import equikpt.engine.hooks.gradient_monitor_hook  # noqa: E402
import equikpt.engine.hooks.group_rates_hook  # noqa: E402
import equikpt.engine.hooks.keypoint_channels_hook  # noqa: E402
import equikpt.engine.hooks.pipeline_switch_hook  # noqa: E402
import equikpt.engine.hooks.prediction_sheet_hook  # noqa: E402
import equikpt.engine.hooks.progress_bar_hook  # noqa: E402
import equikpt.engine.hooks.remap_checkpoint_hook  # noqa: E402
import equikpt.engine.hooks.sequence_visualization_hook  # noqa: E402
import equikpt.engine.hooks.stage_unfreeze_hook  # noqa: E402
import equikpt.engine.hooks.thread_budget_hook  # noqa: E402
import equikpt.engine.hooks.top_k_checkpoint_hook  # noqa: E402
import equikpt.engine.hooks.validation_state_hook  # noqa: E402
import equikpt.engine.layerwise_lr  # noqa: E402
import equikpt.engine.param_schedulers  # noqa: E402
import equikpt.engine.seeding  # noqa: E402
import equikpt.engine.val_log_processor  # noqa: E402
import equikpt.engine.wandb_backend  # noqa: E402
import equikpt.evaluation.keypoint_pixel_ap  # noqa: E402
import equikpt.evaluation.keypoint_report  # noqa: E402
import equikpt.evaluation.landmark_error  # noqa: E402
import equikpt.evaluation.pointing_metric  # noqa: E402
import equikpt.models.backbones.freezing_cspnext  # noqa: E402
import equikpt.models.backbones.recomputing_litehrnet  # noqa: E402
import equikpt.models.backbones.timm_backbone  # noqa: E402
import equikpt.models.estimators.val_loss_estimator  # noqa: E402
import equikpt.models.heads.logit_heatmap_head  # noqa: E402
import equikpt.models.heads.multi_peak_head  # noqa: E402
import equikpt.models.heads.sequential_attention_head  # noqa: E402
import equikpt.models.losses.focal_l1_heatmap_loss  # noqa: E402
import equikpt.models.losses.funnel_loss  # noqa: E402
import equikpt.models.losses.spatial_softmax_loss  # noqa: E402
import equikpt.models.necks.finest_level_fpn  # noqa: E402, F401
