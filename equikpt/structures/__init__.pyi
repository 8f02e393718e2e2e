from .bbox import box_area as box_area
from .bbox import box_iou as box_iou
from .bbox import hungarian_match as hungarian_match
from .ground_truth import Gt as Gt
from .ground_truth import Labels as Labels
from .pose_instance import Instance as Instance
from .pose_instance import Maps as Maps
from .pose_instance import maps_of as maps_of
