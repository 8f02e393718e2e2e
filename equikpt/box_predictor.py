"""A trained top-down model for boxes of pictures that are in memory."""

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


def whole_picture(picture: np.ndarray) -> np.ndarray:
    """The box (4,) of a whole picture (H, W, 3).

    MMPose's data sets clip boxes to the last px, so training saw pictures this way.
    """
    height, width = picture.shape[:2]
    return np.array([0, 0, width - 1, height - 1])
