"""Transforms for MMPose's pipelines; importing the package registers them."""

from equikpt.datasets.transforms.albumentation import AlbumentationsV2
from equikpt.datasets.transforms.drop_outside import DropOutsideKeypoints
from equikpt.datasets.transforms.fast_bbox_transform import FastRandomBBoxTransform
from equikpt.datasets.transforms.fast_pack_inputs import FastPackPoseInputs
from equikpt.datasets.transforms.load_cached_image import LoadCachedImage, LoadRadiograph
from equikpt.datasets.transforms.random_elastic import RandomElastic
from equikpt.datasets.transforms.random_flip import RandomFlipKeypoints
from equikpt.datasets.transforms.random_half_body import RandomHalfBodyCrop
from equikpt.datasets.transforms.random_occlusion import RandomOcclusion
from equikpt.datasets.transforms.random_radiograph_artifacts import RandomRadiographArtifacts
from equikpt.datasets.transforms.topdown_affine_crop import TopdownAffineCrop
from equikpt.datasets.transforms.unlabelled import GenerateValTarget, MaskUnlabelled
from equikpt.datasets.transforms.whole_image_resize import WholeImageResize

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
    "RandomRadiographArtifacts",
    "RandomFlipKeypoints",
    "RandomHalfBodyCrop",
    "RandomOcclusion",
    "TopdownAffineCrop",
    "WholeImageResize",
]
