from .capped_sampler import CappedSampler as CappedSampler
from .checked_coco import CheckedCocoDataset as CheckedCocoDataset
from .coco17 import Coco17Dataset as Coco17Dataset
from .horse26 import Horse26Dataset as Horse26Dataset
from .image_cache import ImageCache as ImageCache
from .p1p2 import P1P2Dataset as P1P2Dataset
from .point_sequence import PointSequenceDataset as PointSequenceDataset
from .ruler_marks import RulerMarkDataset as RulerMarkDataset
