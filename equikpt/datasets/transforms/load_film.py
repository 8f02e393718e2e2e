"""Radiographs, decoded once."""

from __future__ import annotations

import numpy as np
from mmpose.registry import TRANSFORMS

from equikpt.datasets.film import read_film
from equikpt.datasets.transforms.load_cached_image import LoadCachedImage


@TRANSFORMS.register_module()
class LoadFilm(LoadCachedImage):
    """:class:`LoadCachedImage` for :func:`equikpt.datasets.film.read_film`: 16 bits and DICOM too.

    OpenCV's usual flags keep the upper 8 of 16 bits, in which a film of 12 bits is nearly black.

    Arguments are those of :class:`LoadCachedImage`; files must be local.
    """

    def transform(self, results: dict) -> dict | None:
        """Set ``img`` (H, W, 3) uint8, ``img_shape`` and ``ori_shape``."""
        if "img" in results:
            return super().transform(results)
        picture = self._picture(results["img_path"])
        if picture is None:  # and a file that cannot be decoded says what is wrong with it
            picture = read_film(results["img_path"])
        return self._handed_over(results, picture)

    def _decode(self, path: str) -> np.ndarray | None:
        try:
            return read_film(path)
        except (OSError, ValueError):
            return None
