"""The two marks of the ruler on one radiograph, by a network for all of it and one for crops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mmengine.config import Config

from equikpt.apis.inferencer import BoxPredictor, whole_image
from equikpt.datasets.p1p2 import square_around


class RulerFinder:
    """Finds p1 and p2 on radiographs.

    Args:
        whole: Looks at the whole radiograph.
        close: Looks again at a square around each mark that ``whole`` found, at the radiograph's
            own resolution; None leaves it at the first look.
        crop_fraction: Side of that square as a fraction of the radiograph's height, as in training.
    """

    def __init__(
        self, whole: BoxPredictor, close: BoxPredictor | None = None, crop_fraction: float = 0.128
    ) -> None:
        self.whole = whole
        self.close = close
        self.crop_fraction = crop_fraction

    @classmethod
    def load(
        cls,
        cfg: Config,
        checkpoint: str | Path,
        close_cfg: Config | None = None,
        close_checkpoint: str | Path | None = None,
        device: str | None = None,
    ) -> RulerFinder:
        """From configs and checkpoints of both stages, or of the first alone.

        Raises:
            FileNotFoundError: There is no such checkpoint.
            ValueError: ``close_cfg`` is not one of close-ups.
        """
        if close_cfg is None or close_checkpoint is None:
            return cls(BoxPredictor(cfg, checkpoint, device))
        crop_fraction = close_cfg.test_dataloader.dataset.get("crop_fraction")
        if crop_fraction is None:
            raise ValueError(
                "expected a config with RulerMarkDataset for the second stage, such as "
                f"td-hm_efficientnet-lite0_p1p2-refine-192x192, got {close_cfg.filename}"
            )
        whole = BoxPredictor(cfg, checkpoint, device)
        return cls(whole, BoxPredictor(close_cfg, close_checkpoint, device), crop_fraction)

    def __call__(self, radiograph: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both marks of a radiograph, by all stages there are.

        Args:
            radiograph: (H, W, 3) uint8, as :func:`equikpt.core.radiograph.read_radiograph` gives
                it.

        Returns:
            (2, 2) p1 and p2 in px of the radiograph, and (2,) scores in 0–1.
        """
        marks, scores = self.look(radiograph)
        return self.look_again(radiograph, marks, scores) if self.close else (marks, scores)

    def look(self, radiograph: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Marks and scores by the first stage; as :meth:`__call__`."""
        (found,) = self.whole(radiograph, [whole_image(radiograph)])
        return found.keypoints[0], found.keypoint_scores[0]

    def look_again(
        self, radiograph: np.ndarray, marks: np.ndarray, scores: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Marks by the second stage, around those of the first; of both scores the lower one.

        Raises:
            ValueError: There is no second stage.
        """
        if self.close is None:
            raise ValueError("expected a second stage, got none; give RulerFinder its `close`")
        boxes = [square_around(mark, self.crop_fraction * radiograph.shape[0]) for mark in marks]
        found = self.close(radiograph, boxes)
        places = np.stack([each.keypoints[0, mark] for mark, each in enumerate(found)])
        sure = np.stack([each.keypoint_scores[0, mark] for mark, each in enumerate(found)])
        return places, np.minimum(scores, sure)
