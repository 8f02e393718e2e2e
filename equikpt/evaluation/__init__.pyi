from .counting_metric import CountingMetric as CountingMetric
from .keypoint_metric import KeypointMetric as KeypointMetric
from .pixel_ap_metric import PixelAPMetric as PixelAPMetric
from .presentation import Column as Column
from .presentation import Example as Example
from .presentation import Figure as Figure
from .presentation import Presented as Presented
from .ruler_metric import RulerMetric as RulerMetric
