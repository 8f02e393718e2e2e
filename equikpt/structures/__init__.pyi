from .bbox import best_pairs as best_pairs
from .bbox import box_area as box_area
from .bbox import box_overlap as box_overlap
from .ground_truth import Labels as Labels
from .ground_truth import Truth as Truth
from .heatmaps import Maps as Maps
from .heatmaps import maps_of as maps_of
from .pose_instance import Instance as Instance
