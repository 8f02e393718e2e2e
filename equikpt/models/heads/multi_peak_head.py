"""A head for heatmaps of whole images."""

from __future__ import annotations

from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

from equikpt.models.heads.logit_heatmap_head import LogitHeatmapHead


@MODELS.register_module()
class MultiPeakHead(LogitHeatmapHead):
    """:class:`LogitHeatmapHead` with ``MultiPeakHeatmap``: every peak is a point of its own.

    For ``BottomupPoseEstimator``. Arguments are those of ``LogitHeatmapHead``.
    """

    def predict(
        self, feats, batch_data_samples: list[PoseDataSample], test_cfg: dict | None = None
    ):
        """Points of a batch; arguments as the base class.

        Returns:
            For each image ``keypoints`` (N, 1, 2) in px of the input, ``keypoint_scores`` (N, 1)
            and ``labels`` (N,), the keypoint type; with ``output_heatmaps`` also the probabilities.
        """
        test_cfg = test_cfg or {}
        probabilities = self.probabilities(feats, batch_data_samples, test_cfg).detach().float()
        places, scores = (part.cpu().numpy() for part in self.decoder.batch_decode(probabilities))
        instances = []
        for its_places, its_scores in zip(places, scores, strict=True):
            row, label = (its_scores > 0).nonzero()
            instances.append(
                InstanceData(
                    keypoints=its_places[row, label][:, None],
                    keypoint_scores=its_scores[row, label][:, None],
                    labels=label,
                )
            )
        if test_cfg.get("output_heatmaps", False):
            return instances, [PixelData(heatmaps=each) for each in probabilities]
        return instances
