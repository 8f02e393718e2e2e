"""The two marks of the ruler on one film, by a network for the whole film and one for close-ups."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmengine.structures import InstanceData

from equikpt import stack

stack.ready()

from mmpose.registry import MODELS  # noqa: E402 - the stack comes first
from mmpose.structures import PoseDataSample  # noqa: E402

from equikpt.config_files import forget_pretrained  # noqa: E402
from equikpt.datasets.ruler_marks import square_around  # noqa: E402


class BoxPredictor:
    """A trained top-down model, ready for boxes of pictures that are in memory.

    Args:
        cfg: Of the model; its test pipeline is used, without targets.
        checkpoint: Its weights.
        device: Torch's name of where to compute.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: It is of another model.
    """

    def __init__(self, cfg: Config, checkpoint: str | Path, device: str = "cpu") -> None:
        if not Path(checkpoint).is_file():
            raise FileNotFoundError(
                f"expected a checkpoint at {checkpoint}, found no such file; train one with "
                "tools/train.py"
            )
        init_default_scope("mmpose")
        forget_pretrained(cfg.model)
        self.model = MODELS.build(cfg.model).to(device).eval()
        try:
            load_checkpoint(self.model, str(checkpoint), map_location="cpu", strict=True)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                f"expected in {checkpoint} the weights of the model in {cfg.filename}, got others "
                f"({reason}…); give the config that it was trained with"
            ) from error
        steps = cfg.test_dataloader.dataset.pipeline
        self.pipeline = Compose([step for step in steps if step["type"] != "GenerateTarget"])

    def __call__(self, picture: np.ndarray, boxes: Sequence[np.ndarray]) -> list[InstanceData]:
        """``keypoints`` (1, K, 2) in px of the picture and ``keypoint_scores`` (1, K) in each box.

        Arguments are those of :meth:`samples`.
        """
        return [sample.pred_instances for sample in self.samples(picture, boxes)]

    def samples(self, picture: np.ndarray, boxes: Sequence[np.ndarray]) -> list[PoseDataSample]:
        """What the model returns for each box.

        Args:
            picture: (H, W, 3) uint8, BGR.
            boxes: (4,) each: left, top, right and bottom in px of the picture.
        """
        samples = [
            self.pipeline(
                dict(
                    img=picture,
                    img_path="",
                    bbox=np.asarray(box, np.float32)[None],
                    bbox_score=np.ones(1, np.float32),
                )
            )
            for box in boxes
        ]
        with torch.no_grad():
            return self.model.test_step(pseudo_collate(samples))


class RulerFinder:
    """Finds p1 and p2 on films.

    Args:
        whole: Looks at the whole film.
        close: Looks again at a square around each mark that ``whole`` found, at the film's own
            resolution; None leaves it at the first look.
        crop_fraction: Side of that square as a fraction of the film's height, as in training.
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
        device: str = "cpu",
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
                f"p1p2_timm_refine, got {close_cfg.filename}"
            )
        whole = BoxPredictor(cfg, checkpoint, device)
        return cls(whole, BoxPredictor(close_cfg, close_checkpoint, device), crop_fraction)

    def __call__(self, film: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both marks of a film, by all stages there are.

        Args:
            film: (H, W, 3) uint8, as :func:`equikpt.datasets.film.read_film` gives it.

        Returns:
            (2, 2) p1 and p2 in px of the film, and (2,) scores in 0–1.
        """
        marks, scores = self.look(film)
        return self.look_again(film, marks, scores) if self.close else (marks, scores)

    def look(self, film: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Marks and scores by the first stage; as :meth:`__call__`."""
        height, width = film.shape[:2]
        # MMPose's data sets clip boxes to the last px, so training saw films this way
        (found,) = self.whole(film, [np.array([0, 0, width - 1, height - 1])])
        return found.keypoints[0], found.keypoint_scores[0]

    def look_again(
        self, film: np.ndarray, marks: np.ndarray, scores: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Marks by the second stage, around those of the first; of both scores the lower one.

        Raises:
            ValueError: There is no second stage.
        """
        if self.close is None:
            raise ValueError("expected a second stage, got none; give RulerFinder its `close`")
        boxes = [square_around(mark, self.crop_fraction * film.shape[0]) for mark in marks]
        found = self.close(film, boxes)
        places = np.stack([each.keypoints[0, mark] for mark, each in enumerate(found)])
        sure = np.stack([each.keypoint_scores[0, mark] for mark, each in enumerate(found)])
        return places, np.minimum(scores, sure)
