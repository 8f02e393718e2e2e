"""Keypoints by a trained model, of images in one call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np
from mmengine.config import Config
from mmpose.structures import PoseDataSample

from equikpt.apis.box_predictor import BoxPredictor, View
from equikpt.config_checks.options import load_config
from equikpt.metainfo.trained import trained_keypoints
from equikpt.structures.pose_instance import maps_of, output_scores
from equikpt.structures.training_features import TrainingFeatures
from equikpt.structures.uncertainty import DEFAULT_LEVEL, Uncertainty
from equikpt_runtime.boxes import checked_boxes
from equikpt_runtime.drawing import has_names
from equikpt_runtime.images import as_image
from equikpt_runtime.instance import Instance

EXTRAS = dict(radius="keypoint_radius", presence="keypoints_presence", seen="keypoints_seen")
"""Fields of :class:`Instance`, and those of predictions that some models and checkpoints give."""
Image = str | Path | np.ndarray
"""A path, or pixels (H, W, 3), (H, W) or (H, W, 4) with alpha, uint8 or uint16, BGR as OpenCV."""


class Predictor:
    """A trained model that takes images.

    ``Predictor("rtmpose_m_ap10k", "best.pth")("horse.jpg")`` is the list of what it found; of a
    project or a run the folder is enough: ``Predictor("mice")("mouse.jpg")``. A
    top-down model finds one animal in each box and, without boxes, one in the whole image. One
    that points at things gives as many keypoints as it found, in its order. One of whole images
    gives each peak as an instance of one point, of which all others are NaN: peaks are not grouped.
    Files are read as the model's training read them. A keypoint that had no label in training, as
    the checkpoint records, is never given: it is NaN, with the score 0 (see ``trained``). Neither
    are those of an image, or a box, that is unlike the images of the training, where the
    checkpoint holds their features: ``refused`` of the instance has the reason.

    Args:
        config: Path or name of a config, a project folder, or the config itself.
        checkpoint: Weights of its model: a file, or the folder of their run; by default of the
            config's work dir the best ones.
        device: Torch's name of where to compute; by default a GPU if there is one.
        batch_size: Boxes that are computed at once, and images that are in memory at once.
        maps: Give instances the heatmaps that their points were read from.
        level: Probability that a keypoint lies within its ``radius``.
        refuse: Give no keypoints for what is unlike the training; False gives them all the same.
        precision: Of backbone and neck: ``float32``, ``bfloat16``, ``float16``, or ``auto`` for the
            fastest one that the device has (see ``precision`` of the predictor). Anything but
            float32 moves keypoints, by a tenth of a px of the input in the median.

    Raises:
        FileNotFoundError: No such config or checkpoint.
        ValueError: The checkpoint is of another model, or has no fit of ``level``; or the device
            does not compute in ``precision``.
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None = None,
        device: str | None = None,
        batch_size: int = 8,
        maps: bool = False,
        level: float = DEFAULT_LEVEL,
        refuse: bool = True,
        precision: str = "float32",
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"expected batch_size of at least 1, got {batch_size}")
        cfg = config if isinstance(config, Config) else load_config(config)
        self.batch_size = batch_size
        self.maps = maps
        self.refuse = refuse
        self._model = BoxPredictor(cfg, checkpoint, device, maps, precision)
        self.precision: str = self._model.precision
        """Precision of backbone and neck; the decoding is in float32."""
        self._model.set_level(level)
        self.metainfo = self._model.metainfo
        """MMPose's parsed metainfo: names, links and colours of the K keypoints."""
        by_id = self.metainfo["keypoint_id2name"]
        self.names: tuple[str, ...] = tuple(by_id[index] for index in range(len(by_id)))
        """Names of the K keypoints in their order."""
        self.trained: np.ndarray = trained_keypoints(self.metainfo)
        """(K,) bool: keypoints that had labels in training."""
        self.lacks_radii: str = self._model.lacks_fit(Uncertainty)
        """Reason why no ``radius`` of an instance is finite; empty where there are radii."""
        self.takes_boxes = not self._model.whole
        """True where the model sees boxes, and not whole images only."""
        self.training_features: TrainingFeatures | None = self._model.training_features
        """Features of the training, with the limit of ``novelty``; None where none are recorded."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a path is a sequence of letters
        self, images: Image, boxes: Sequence | np.ndarray | None = None
    ) -> list[Instance]: ...

    @overload
    def __call__(
        self, images: Sequence[Image], boxes: Sequence | None = None
    ) -> list[list[Instance]]: ...

    def __call__(self, images, boxes=None):
        """Predict the instances of an image, or of each image of a list.

        Args:
            images: One, or a list.
            boxes: (N, 4) left, top, right and bottom in px of the image, or (N, 5) with a score;
                of a list of images one such array, or None, each. None is the whole image.

        Returns:
            N instances, or a list of such lists for a list of images.

        Raises:
            OSError: A file that is missing, damaged or no image.
            ValueError: An array that is no image, boxes that are none or do not fit in number, or
                boxes for a model of whole images.
        """
        if isinstance(images, Image):
            return next(self.stream([(images, boxes)]))
        boxes = [None] * len(images) if boxes is None else boxes
        if len(boxes) != len(images):
            raise ValueError(
                f"expected boxes for each of {len(images)} images, got {len(boxes)}; give None "
                "for a whole image"
            )
        return list(self.stream(zip(images, boxes, strict=True)))

    def read(self, image: Image) -> np.ndarray:
        """(H, W, 3) uint8, BGR; errors as :meth:`__call__`."""
        return as_image(image) if isinstance(image, np.ndarray) else self._model.read(image)

    def stream(
        self, images: Iterable[tuple[Image, Sequence | np.ndarray | None]]
    ) -> Iterator[list[Instance]]:
        """Predict the instances of any number of images, which come with their boxes.

        Never more than ``batch_size`` images are taken before their instances are given.
        """
        remaining = iter(images)
        while chunk := list(islice(remaining, self.batch_size)):
            views, counts = [], []
            for image, boxes in chunk:
                pixels = self.read(image)
                rows = checked_boxes(pixels, boxes, self.takes_boxes)
                views += [(pixels, row) for row in rows]
                counts.append(len(rows))
            found = iter(self._predict(views))
            yield from ([each for part in islice(found, n) for each in part] for n in counts)

    def _predict(self, views: list[View]) -> Iterator[list[Instance]]:
        """The instances in each view, (image, (5,) box and score)."""
        # whole images come in any size, and their padding must not depend on each other
        size = self.batch_size if self.takes_boxes else 1
        for start in range(0, len(views), size):
            batch = views[start : start + size]
            samples = self._model.batch([(image, row[:4]) for image, row in batch])
            for sample, (_, row) in zip(samples, batch, strict=True):
                yield self._instances(sample, row)

    def _instances(self, sample: PoseDataSample, row: np.ndarray) -> list[Instance]:
        maps = maps_of(sample, self._model.model.head.decoder) if self.maps else None
        found = sample.pred_instances
        coords, scores = np.asarray(found.keypoints), output_scores(found)
        if "labels" in found:  # peaks, which know their keypoint
            alone, rows = (coords[:, 0], scores[:, 0]), np.arange(len(coords))
            coords = np.full((len(rows), len(self.names), 2), np.nan)
            scores = np.zeros(coords.shape[:2])
            coords[rows, found.labels], scores[rows, found.labels] = alone
        elif coords.shape[1] == len(self.trained):
            coords = np.where(self.trained[:, None], coords, np.nan)
        refused = self._model.refusal(found) if self.refuse else ""
        if refused:  # one instance without keypoints, and no point where they have no names
            count = len(self.names) if has_names(self.metainfo) else 0
            coords, scores = np.full((1, count, 2), np.nan), np.zeros((1, count))
        coords, scores, box = (each.astype(np.float32) for each in (coords, scores, row[:4]))
        novelty = float(found.novelty[0]) if len(found.get("novelty", ())) else None
        extras = {
            name: np.asarray(found[field], np.float32)
            for name, field in EXTRAS.items()
            if field in found and not refused
        }
        return [
            Instance(
                coords[index, :, :2],
                scores[index],
                box,
                float(row[4]),
                maps=maps,
                novelty=novelty,
                refused=refused,
                **{name: values[index] for name, values in extras.items()},
            )
            for index in range(len(coords))
        ]
