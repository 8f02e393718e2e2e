"""Keypoints of images by a trained model, in one call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmpose.registry import TRANSFORMS
from mmpose.structures import PoseDataSample

from equikpt.apis.inferencer import BoxPredictor, whole_image
from equikpt.config_checks.options import load_config
from equikpt.core.image import as_image, read_image
from equikpt.structures.pose_instance import Instance, Maps, maps_of

Image = str | Path | np.ndarray
"""A path, or pixels (H, W, 3), (H, W) or (H, W, 4) with alpha, uint8 or uint16, BGR as OpenCV."""


class Predictor:
    """A trained model that takes images.

    ``Predictor("rtmpose_m_ap10k", "best.pth")("horse.jpg")`` is the list of what it found. A
    top-down model finds one animal in each box and, without boxes, one in the whole image. One
    that points at things gives as many keypoints as it found, in its order. One of whole images
    gives each peak as an instance of one point, of which all others are NaN: peaks are not grouped.

    Files are read as the model's training read them: radiographs as radiographs
    (:func:`equikpt.core.radiograph.read_radiograph`), others by
    :func:`equikpt.core.image.read_image`.

    Args:
        config: Path or name of a config, or the config itself.
        checkpoint: Weights of its model.
        device: Torch's name of where to compute; by default a GPU if there is one.
        batch_size: Boxes that are computed at once, and images that are in memory at once.
        maps: Whether instances carry the heatmaps that their points were read from.

    Raises:
        FileNotFoundError: No such config or checkpoint.
        ValueError: The checkpoint is of another model.
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path,
        device: str | None = None,
        batch_size: int = 8,
        maps: bool = False,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"expected batch_size of at least 1, got {batch_size}")
        cfg = config if isinstance(config, Config) else load_config(config)
        self.batch_size = batch_size
        self.maps = maps
        self._model = BoxPredictor(cfg, checkpoint, device, maps)
        loading = TRANSFORMS.get(cfg.test_dataloader.dataset.pipeline[0]["type"])
        self._read = getattr(loading, "read_image", read_image)

    @property
    def metainfo(self) -> dict:
        """MMPose's parsed metainfo: names, links and colours of the K keypoints."""
        return self._model.metainfo

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the K keypoints in their order."""
        by_id = self.metainfo["keypoint_id2name"]
        return tuple(by_id[index] for index in range(len(by_id)))

    @property
    def takes_boxes(self) -> bool:
        """True where the model looks at boxes, and not at whole images only."""
        return not self._model.whole

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
        return as_image(image) if isinstance(image, np.ndarray) else self._read(image)

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
                rows = self._rows(pixels, boxes)
                views += [(pixels, row) for row in rows]
                counts.append(len(rows))
            found = iter(self._predict(views))
            yield from ([each for part in islice(found, n) for each in part] for n in counts)

    def _rows(self, image: np.ndarray, boxes: Sequence | np.ndarray | None) -> np.ndarray:
        """(N, 5) checked boxes with their scores."""
        if boxes is None:
            return np.append(whole_image(image), 1.0)[None]
        if not self.takes_boxes:
            raise ValueError("expected no boxes for a model of whole images; leave them out")
        rows = np.asarray(boxes, float)
        if not rows.size:
            return np.zeros((0, 5))
        if rows.ndim != 2 or rows.shape[1] not in (4, 5) or not np.isfinite(rows).all():
            raise ValueError(
                "expected boxes of shape (N, 4), left, top, right and bottom in px, got "
                f"{rows.tolist() if rows.size < 20 else rows.shape}"
            )
        if (rows[:, 2:4] <= rows[:, :2]).any():
            bad = rows[(rows[:, 2:4] <= rows[:, :2]).any(axis=1)][0].tolist()
            raise ValueError(
                f"expected boxes as left, top, right and bottom, got {bad}, whose right or bottom "
                "does not lie beyond its left or top"
            )
        size_px = image.shape[1::-1]
        if ((rows[:, 2:4] <= 0) | (rows[:, :2] >= size_px)).any():
            raise ValueError(
                f"expected boxes within the image's {size_px[0]} x {size_px[1]} px, got "
                f"{rows[:, :4].tolist()}; give them in px of the image"
            )
        return rows if rows.shape[1] == 5 else np.column_stack([rows, np.ones(len(rows))])

    def _predict(self, views: list[tuple[np.ndarray, np.ndarray]]) -> Iterator[list[Instance]]:
        """The instances in each view, (image, (5,) box and score)."""
        # whole images come in any size, and their padding must not depend on each other
        size = self.batch_size if self.takes_boxes else 1
        for start in range(0, len(views), size):
            batch = views[start : start + size]
            samples = self._model.batch([(image, row[:4]) for image, row in batch])
            for sample, (_, row) in zip(samples, batch, strict=True):
                maps = maps_of(sample, self._model.model.head.decoder) if self.maps else None
                yield self._instances(sample, row, maps)

    def _instances(
        self, sample: PoseDataSample, row: np.ndarray, maps: Maps | None
    ) -> list[Instance]:
        found = sample.pred_instances
        if "labels" in found:
            places, scores = _peaks(found, len(self.names))
        else:
            places, scores = np.asarray(found.keypoints), np.asarray(found.keypoint_scores)
        return [
            Instance(
                each_places[:, :2].astype(np.float32),
                each_scores.astype(np.float32),
                row[:4].astype(np.float32),
                float(row[4]),
                maps=maps,
            )
            for each_places, each_scores in zip(places, scores, strict=True)
        ]


def _peaks(found: InstanceData, num_keypoints: int) -> tuple[np.ndarray, np.ndarray]:
    """Peaks that know their keypoint as (N, K, 2) and (N, K), all else NaN and 0."""
    count = np.arange(len(found.labels))
    places = np.full((len(count), num_keypoints, 2), np.nan)
    scores = np.zeros((len(count), num_keypoints))
    places[count, found.labels] = found.keypoints[:, 0]
    scores[count, found.labels] = found.keypoint_scores[:, 0]
    return places, scores
