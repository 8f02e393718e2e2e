"""Targets in validation, for its loss."""

from __future__ import annotations

from mmpose.datasets.transforms import GenerateTarget
from mmpose.registry import TRANSFORMS


@TRANSFORMS.register_module()
class GenerateValTarget(GenerateTarget):
    """MMPose's ``GenerateTarget`` that leaves samples without labels as they are.

    Samples of ``bbox_file``, a detector's boxes, carry invented keypoints at (0, 0) that count as
    visible: a loss of those would mean nothing. Arguments are those of ``GenerateTarget``.
    """

    def transform(self, results: dict) -> dict | None:
        """Add the encoder's targets to a labelled sample."""
        return super().transform(results) if results.get("raw_ann_info") else results
