"""Random boxes, drawn without scipy's frozen distributions."""

from __future__ import annotations

import numpy as np
from mmpose.datasets.transforms import RandomBBoxTransform
from mmpose.registry import TRANSFORMS
from scipy.special import ndtr, ndtri


@TRANSFORMS.register_module()
class FastRandomBBoxTransform(RandomBBoxTransform):
    """MMPose's ``RandomBBoxTransform``, with the same boxes from the same seed.

    The stock transform asks ``scipy.stats.truncnorm`` for four numbers a sample, which spends
    half a millisecond on checking its arguments. Here the same uniform numbers go through the
    inverse of the truncated normal distribution directly.

    Arguments and place in the pipeline are those of ``RandomBBoxTransform``.
    """

    @staticmethod
    def _truncnorm(low: float = -1.0, high: float = 1.0, size: tuple = ()) -> np.ndarray:
        """Sample from a truncated normal distribution, float32, of shape ``size``."""
        below, above = ndtr(low), ndtr(high)
        uniform = np.random.uniform(size=size)  # noqa: NPY002 - the state that MMEngine seeds
        return ndtri(below + (above - below) * uniform).astype(np.float32)
