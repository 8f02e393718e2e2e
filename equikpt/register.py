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
import equikpt.engine.amp
import equikpt.engine.checkpoint_hooks
import equikpt.engine.cpu_hooks
import equikpt.engine.depthwise_conv
import equikpt.engine.epoch_hooks
import equikpt.engine.keypoint_hooks
import equikpt.engine.layerwise_lr
import equikpt.engine.logging
import equikpt.engine.param_schedulers
import equikpt.engine.progress_bar_hook
import equikpt.engine.ruler_limits
import equikpt.engine.run_record
import equikpt.engine.training_features
import equikpt.engine.uncertainty_hook
import equikpt.engine.unlabelled
import equikpt.engine.visualization_hooks
import equikpt.engine.weight_hooks
import equikpt.evaluation.counting_metric
import equikpt.evaluation.inversion_metric
import equikpt.evaluation.keypoint_metric
import equikpt.evaluation.pixel_ap_metric
import equikpt.evaluation.ruler_metric
import equikpt.evaluation.uncertainty_metric
import equikpt.evaluation.visibility_metric
import equikpt.models.finest_level_fpn
import equikpt.models.focal_l1_heatmap_loss
import equikpt.models.funnel_loss
import equikpt.models.logit_heatmap_head
import equikpt.models.mmpose_backbones
import equikpt.models.sequential_attention_head
import equikpt.models.spatial_softmax_loss
import equikpt.models.timm_backbone
import equikpt.models.val_loss_estimator
import equikpt.models.visibility_branch  # noqa: F401
