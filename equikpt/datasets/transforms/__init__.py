"""Transforms for MMPose's pipelines; importing the package registers them."""

from equikpt.datasets.transforms.albumentation import AlbumentationsV2
from equikpt.datasets.transforms.drop_outside import DropOutsideKeypoints
from equikpt.datasets.transforms.random_flip import RandomFlipKeypoints
from equikpt.datasets.transforms.random_half_body import RandomHalfBodyCrop
from equikpt.datasets.transforms.random_occlusion import RandomOcclusion

__all__ = [
    "AlbumentationsV2",
    "DropOutsideKeypoints",
    "RandomFlipKeypoints",
    "RandomHalfBodyCrop",
    "RandomOcclusion",
]
