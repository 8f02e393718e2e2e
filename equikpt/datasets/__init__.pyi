from .capped_sampler import CappedSampler as CappedSampler
from .checked_coco import CheckedCocoDataset as CheckedCocoDataset
from .image_cache import ImageCache as ImageCache
from .keypoint_sets import Coco17Dataset as Coco17Dataset
from .keypoint_sets import Horse26Dataset as Horse26Dataset
from .p1p2 import P1P2Dataset as P1P2Dataset
from .p1p2 import RulerMarkDataset as RulerMarkDataset
from .point_sequence import PointSequenceDataset as PointSequenceDataset
