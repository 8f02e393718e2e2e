from .ground_truth_pair import draw_gt_pred_pair as draw_gt_pred_pair
from .keypoint_set import draw_keypoint_set as draw_keypoint_set
from .pose import contact_sheet as contact_sheet
from .pose import draw_instance as draw_instance
from .pose import draw_pose as draw_pose
from .pose import draw_sequence as draw_sequence
from .predictions import Look as Look
from .predictions import draw as draw
