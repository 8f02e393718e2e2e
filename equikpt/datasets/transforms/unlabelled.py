"""Samples without labels: where MMPose's target transforms go wrong on them, put right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xtcocotools.mask as coco_mask
from mmpose.datasets.transforms import BottomupGetHeatmapMask, GenerateTarget
from mmpose.registry import TRANSFORMS


@TRANSFORMS.register_module()
class MaskUnlabelled(BottomupGetHeatmapMask):
    """MMPose's ``BottomupGetHeatmapMask`` that masks crowds too.

    ``heatmap_mask`` (H, W) is False where a person without labelled keypoints is, or a crowd: the
    heatmap there is neither right nor wrong. The stock transform leaves out crowds, whose outline
    COCO gives as run lengths and not as polygons.

    It stands behind ``GenerateTarget``. Arguments are those of ``BottomupGetHeatmapMask``.
    """

    def _segs_to_mask(self, segs: Sequence, img_shape: tuple[int, int]) -> np.ndarray:
        """(H, W) uint8, 1 inside any of the outlines: polygons, or run lengths as COCO has them."""
        mask = super()._segs_to_mask([seg for seg in segs if not isinstance(seg, dict)], img_shape)
        for seg in segs:
            if isinstance(seg, dict):
                height, width = seg["size"]
                mask = np.maximum(mask, coco_mask.decode(coco_mask.frPyObjects(seg, height, width)))
        return mask


@TRANSFORMS.register_module()
class GenerateValTarget(GenerateTarget):
    """MMPose's ``GenerateTarget`` that leaves samples without labels as they are.

    Samples of ``bbox_file``, a detector's boxes, carry invented keypoints at (0, 0) that count as
    visible: a loss of those would mean nothing. Arguments are those of ``GenerateTarget``.
    """

    def transform(self, results: dict) -> dict | None:
        """Add the encoder's targets to a labelled sample."""
        return super().transform(results) if results.get("raw_ann_info") else results
