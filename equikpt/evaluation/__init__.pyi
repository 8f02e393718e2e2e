from .keypoint_pixel_ap import KeypointPixelAP as KeypointPixelAP
from .keypoint_report import KeypointReport as KeypointReport
from .landmark_error import LandmarkError as LandmarkError
from .pointing_metric import PointingMetric as PointingMetric
