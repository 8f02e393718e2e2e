"""Boxes of animals by a detector that was trained on COCO or on anything else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmpose.utils import adapt_mmdet_pipeline

from equikpt.apis.box_predictor import usable_device
from equikpt.compat.strict_load import load_weights
from equikpt.core.project import find_checkpoint
from equikpt.structures.ground_truth import Labels
from equikpt_runtime.tracking import BoxSource

Detector = Callable[[np.ndarray], np.ndarray]
"""Function of an image (H, W, 3) uint8, BGR, to its boxes (N, 5): left, top, right and bottom in px
and the score in 0 to 1, the most certain first."""

TORCHVISION_MODEL = "fasterrcnn_resnet50_fpn_v2"


def box_source(
    by_hand: Sequence[Sequence[float]] = (),
    detector: Detector | None = None,
    labels: Labels | None = None,
) -> BoxSource:
    """The boxes given by hand, else of the detector, else of the labels, else whole images."""
    if by_hand:
        boxes = np.asarray(by_hand, float)
        return lambda path, image: boxes
    if detector is not None:
        return lambda path, image: detector(image)
    if labels is not None:
        return lambda path, image: labels.of(path).boxes
    return lambda path, image: None


def load_detector(
    model: str,
    checkpoint: Path | None = None,
    class_name: str = "horse",
    min_score: float = 0.5,
    device: str | None = None,
) -> Detector:
    """An mmdet detector by the path of its config, or one of torchvision's by name.

    Args:
        model: A config file (``….py``) of mmdet, or a name such as :data:`TORCHVISION_MODEL`.
        checkpoint: Its weights, or the folder of their run; torchvision's may lie in torch's cache
            instead. Nothing is downloaded.
        class_name: Of the animals to find, by the name that the detector has for it.
        min_score: Boxes below are left out.
        device: As in ``Predictor``.

    Raises:
        FileNotFoundError: No such config, or no weights.
        ImportError: An mmdet config without mmdet.
        ValueError: No such model or class, weights of another model, or a score out of its range.
    """
    if not 0 <= min_score <= 1:
        raise ValueError(f"expected a detector's score of 0 to 1, got {min_score:g}")
    kind = MmdetDetector if model.endswith(".py") else TorchvisionDetector
    return kind(model, checkpoint, class_name, min_score, usable_device(device))


class TorchvisionDetector:
    """A detector of torchvision with its COCO weights; arguments of :func:`load_detector`."""

    def __init__(
        self, model: str, checkpoint: Path | None, class_name: str, min_score: float, device: str
    ) -> None:
        from torchvision.models import detection, get_model, get_model_weights, list_models

        known = list_models(module=detection)
        if model not in known:
            raise ValueError(
                f"expected a config of mmdet (….py) or one of torchvision's {', '.join(known)}, "
                f"got {model!r}"
            )
        weights = get_model_weights(model).DEFAULT
        self.label = _class_index(class_name, weights.meta["categories"])
        path = Path(torch.hub.get_dir(), "checkpoints", Path(weights.url).name)
        if checkpoint is not None:
            path = find_checkpoint(checkpoint)
        elif not path.is_file():
            raise FileNotFoundError(
                f"expected the weights of {model} at {path}, found no such file; download "
                f"{weights.url} there, or name the file as checkpoint"
            )
        self.model = get_model(
            model, weights=None, weights_backbone=None, num_classes=len(weights.meta["categories"])
        )
        load_weights(self.model, str(path))
        self.model.to(device).eval()
        self.device = device
        self.min_score = min_score

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """See :data:`Detector`."""
        rgb = np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1))
        with torch.no_grad():
            (found,) = self.model([torch.from_numpy(rgb).to(self.device).float() / 255])
        parts = (found["boxes"], found["scores"], found["labels"])
        boxes, scores, labels = (part.cpu().numpy() for part in parts)
        return _chosen(boxes, scores, labels == self.label, self.min_score)


class MmdetDetector:
    """A detector of mmdet, by config and checkpoint; arguments of :func:`load_detector`."""

    def __init__(
        self, model: str, checkpoint: Path | None, class_name: str, min_score: float, device: str
    ) -> None:
        if not Path(model).is_file() or checkpoint is None:
            raise FileNotFoundError(
                f"expected an mmdet config (.py) with its checkpoint, got {model} with "
                f"{checkpoint}; give both"
            )
        checkpoint = find_checkpoint(checkpoint)
        try:  # compat.stack made it importable where it can
            from mmdet import apis
        except (ImportError, AssertionError, AttributeError) as error:
            raise ImportError(
                f"expected mmdet for a detector by config, it does not load ({error}); pip install "
                "'equikpt[mmdet]', or give a name of torchvision such as " + TORCHVISION_MODEL
            ) from error
        self.model = apis.init_detector(model, str(checkpoint), device=device)
        # its pipeline is built at each call, when the default scope is the pose model's
        self.model.cfg = adapt_mmdet_pipeline(self.model.cfg)
        self._inference: Callable[[Any, np.ndarray], Any] = apis.inference_detector
        self.label = _class_index(class_name, self.model.dataset_meta["classes"])
        self.min_score = min_score

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """See :data:`Detector`."""
        found = self._inference(self.model, image).pred_instances.cpu().numpy()
        height, width = image.shape[:2]
        # mmdet keeps boxes inside of the padded input, which is larger than the image
        boxes = found.bboxes.clip(0, [width, height, width, height])
        wanted = (found.labels == self.label) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        return _chosen(boxes, found.scores, wanted, self.min_score)


def _class_index(name: str, classes: Sequence[str]) -> int:
    if name not in classes:
        known = ", ".join(each for each in classes if each not in ("__background__", "N/A"))
        raise ValueError(f"expected one of the detector's classes, {known}, got {name!r}")
    return list(classes).index(name)


def _chosen(
    boxes: np.ndarray, scores: np.ndarray, wanted: np.ndarray, min_score: float
) -> np.ndarray:
    """(N, 5) of the wanted boxes that are certain enough, the most certain first."""
    rows = np.column_stack([boxes, scores])[wanted & (scores >= min_score)]
    return rows[np.argsort(-rows[:, 4], kind="stable")]
