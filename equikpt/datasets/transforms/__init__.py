"""Transforms for MMPose's pipelines; importing the package registers them."""

from equikpt.datasets.transforms.albumentation import AlbumentationsV2
from equikpt.datasets.transforms.corrected import (
    DropOutsideKeypoints,
    GenerateValTarget,
    MaskUnlabelled,
    RandomFlipKeypoints,
    RandomHalfBodyCrop,
    WholeImageResize,
)
from equikpt.datasets.transforms.fast import (
    FastPackPoseInputs,
    FastRandomBBoxTransform,
    TopdownAffineCrop,
)
from equikpt.datasets.transforms.load_cached_image import LoadCachedImage, LoadRadiograph
from equikpt.datasets.transforms.random_elastic import RandomElastic
from equikpt.datasets.transforms.random_frame_cut import RandomFrameCut
from equikpt.datasets.transforms.random_occlusion import RandomOcclusion
from equikpt.datasets.transforms.random_radiograph_artifacts import RandomRadiographArtifacts

__all__ = [
    "AlbumentationsV2",
    "DropOutsideKeypoints",
    "FastPackPoseInputs",
    "FastRandomBBoxTransform",
    "GenerateValTarget",
    "LoadCachedImage",
    "LoadRadiograph",
    "MaskUnlabelled",
    "RandomElastic",
    "RandomFlipKeypoints",
    "RandomFrameCut",
    "RandomHalfBodyCrop",
    "RandomOcclusion",
    "RandomRadiographArtifacts",
    "TopdownAffineCrop",
    "WholeImageResize",
]
