from .keypoint_pixel_ap import KeypointPixelAP as KeypointPixelAP
from .keypoint_report import KeypointReport as KeypointReport
from .landmark_error import LandmarkError as LandmarkError
from .pointing_metric import PointingMetric as PointingMetric
from .presentation import Column as Column
from .presentation import Example as Example
from .presentation import Figure as Figure
from .presentation import Presented as Presented
