"""Radiographs, decoded once."""

from __future__ import annotations

import numpy as np
from mmpose.registry import TRANSFORMS

from equikpt.core.radiograph import read_radiograph
from equikpt.datasets.transforms.load_cached_image import LoadCachedImage


@TRANSFORMS.register_module()
class LoadRadiograph(LoadCachedImage):
    """:class:`LoadCachedImage` by :func:`equikpt.core.radiograph.read_radiograph`.

    Arguments are those of :class:`LoadCachedImage`; files must be local.
    """

    def _read(self, path: str) -> np.ndarray:
        return read_radiograph(path)
