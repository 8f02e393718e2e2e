"""Keypoints by a model that equikpt exported, without torch.

Letters: N boxes of a batch, K keypoints, M peaks of one, P points.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from typing import NamedTuple

import cv2
import numpy as np

from equikpt_runtime.ahead import ahead
from equikpt_runtime.backends import load_network
from equikpt_runtime.boxes import checked_boxes
from equikpt_runtime.crops import Crop, Cropper
from equikpt_runtime.drawing import has_names
from equikpt_runtime.images import as_image, read
from equikpt_runtime.instance import Instance, points_before, refusal, scale_of
from equikpt_runtime.metadata import Description

Image = str | os.PathLike | np.ndarray
"""A path, or pixels (H, W, 3), (H, W) or (H, W, 4) with alpha, uint8 or uint16, BGR as OpenCV."""
BUFFERS = 3
"""Batches in memory: one is computed, one is ready, one is being made."""


class _View(NamedTuple):
    """A box (5,) with its score in an image, and its crop; None where the model takes the image."""

    row: np.ndarray
    crop: Crop | None


class _Batch(NamedTuple):
    """Inputs (N, H, W, 3) RGB, their views, and the number of views of each image begun here."""

    pixels: np.ndarray
    views: list[_View]
    counts: list[int]


class Model:
    """A model from a file of ``equikpt export``, which describes itself.

    ``Model("horses.onnx")("horse.jpg")`` is the list of what it found, as equikpt's ``Predictor``
    gives it: one animal in each box and, without boxes, one in the whole image; as many points as
    there are of one that counts, with their ``interval``; each peak of one of whole images; of a
    ruler both marks, with the ``scale``. Keypoints without a label in training are NaN, and so are
    all of an image, or a box, that is unlike the training: ``refused`` has the reason.

    Args:
        path: ``.onnx``, or OpenVINO's ``.xml`` beside its ``.bin``.
        backend: One of :data:`~equikpt_runtime.backends.BACKENDS`; by default onnxruntime, and
            openvino for its ``.xml``.
        threads: Cores to compute on; by default all that this process may use.
        level: Probability that a keypoint lies within its ``radius``.
        refuse: Give no keypoints for what is unlike the training; False gives them all the same.
        batch_size: Boxes that are computed at once.
        precision: Number type of OpenVINO: float32, or bfloat16 where the CPU computes it.

    Raises:
        FileNotFoundError: No such file.
        ImportError: The library of the backend is not installed.
        ValueError: No file of equikpt, a newer one, a damaged one, or an option out of its range.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        backend: str | None = None,
        threads: int | None = None,
        level: float = 0.9,
        refuse: bool = True,
        batch_size: int = 8,
        precision: str = "float32",
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"expected batch_size of at least 1, got {batch_size}")
        self.description = Description.read(path)
        self.batch_size = batch_size
        self.refuse = refuse
        self.metainfo = self.description.metainfo()
        """Names, links and colours of the K keypoints, as MMPose's parsed metainfo has them."""
        self.names = self.description.names
        """Names of the K keypoints in their order."""
        given = self.description.input
        self._cropper = Cropper(given["size"], given["crop"]) if given["kind"] == "crop" else None
        self._radiograph = given.get("reading") == "radiograph"
        self.takes_boxes = self._cropper is not None and self._cropper.rule == "box"
        """True where the model sees boxes, and not whole images only."""
        self._radius_factor = self.description.radius_factor(level)
        self.has_radii = self._radius_factor is not None
        """True where instances have a ``radius``."""
        self._network = load_network(path, backend, threads, batch_size, precision)

    def __call__(self, image: Image, boxes: Sequence | np.ndarray | None = None) -> list[Instance]:
        """Predict the instances of an image.

        Args:
            image: One.
            boxes: (N, 4) left, top, right and bottom in px of the image, or (N, 5) with a score;
                None is the whole image.

        Raises:
            OSError: A file that is missing, damaged or no image.
            ValueError: An array that is no image, boxes that are none, or boxes for a model of
                whole images.
        """
        (found,) = self._predict(self._batches([(image, boxes)]))
        return found

    def stream(
        self, images: Iterable[tuple[Image, Sequence | np.ndarray | None]]
    ) -> Iterator[list[Instance]]:
        """Predict the instances of any number of images, which come with their boxes, in order.

        Images are taken, read and cropped in a thread while the network computes; no more of them
        are in memory than ``batch_size`` times ``BUFFERS``.
        """
        return self._predict(ahead(self._batches(images)))

    def read(self, image: Image) -> np.ndarray:
        """(H, W, 3) uint8, BGR; errors as :meth:`__call__`."""
        return as_image(image) if isinstance(image, np.ndarray) else read(image, self._radiograph)

    def _batches(
        self, images: Iterable[tuple[Image, Sequence | np.ndarray | None]]
    ) -> Iterator[_Batch]:
        """Inputs, made in turn in the same ``BUFFERS`` pieces of memory."""
        if self._cropper is None:
            for image, boxes in images:
                pixels = self.read(image)
                row = checked_boxes(pixels, boxes, self.takes_boxes)[0]
                rgb = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)[None]
                yield _Batch(rgb, [_View(row, None)], [1])
            return
        width, height = self._cropper.size
        shape = (self.batch_size, height, width, 3)
        buffers = cycle([np.empty(shape, np.uint8) for _ in range(BUFFERS)])
        pixels = next(buffers)
        views: list[_View] = []
        counts: list[int] = []
        for given, boxes in images:
            image = self.read(given)
            rows = checked_boxes(image, boxes, self.takes_boxes)
            counts.append(len(rows))
            for row in rows:
                crop = self._cropper.cut(image, row[:4], pixels[len(views)])
                views.append(_View(row, crop))
                if len(views) == self.batch_size:
                    yield _Batch(pixels, views, counts)
                    pixels, views, counts = next(buffers), [], []
            if len(counts) >= self.batch_size:  # images without boxes are not kept waiting
                yield _Batch(pixels[: len(views)], views, counts)
                pixels, views, counts = next(buffers), [], []
        if counts or views:
            yield _Batch(pixels[: len(views)], views, counts)

    def _predict(self, batches: Iterable[_Batch]) -> Iterator[list[Instance]]:
        """The instances of each image, as soon as all its views were computed."""
        counts: deque[int] = deque()
        found: deque[list[Instance]] = deque()
        for batch in batches:
            counts.extend(batch.counts)
            if batch.views:
                found.extend(self._found(batch.views, self._network(batch.pixels)))
            while counts and len(found) >= counts[0]:
                parts = [found.popleft() for _ in range(counts.popleft())]
                yield [each for part in parts for each in part]

    def _found(
        self, views: list[_View], outputs: dict[str, np.ndarray]
    ) -> Iterator[list[Instance]]:
        """The instances of each view."""
        coords = outputs["keypoints"].astype(float)
        radius = outputs.get("radius") if self.has_radii else None
        if self._cropper is not None:
            crops = [view.crop for view in views if view.crop is not None]
            coords = self._cropper.to_image(coords, crops)
            if radius is not None:
                radius = radius * self._cropper.px_per_input_px(crops)[:, None]
        if radius is not None:
            radius = radius * self._radius_factor
        limits = self.description.novelty
        for index, view in enumerate(views):
            # what there is of this view, by the names of Instance
            parts = dict(keypoints=coords[index], scores=outputs["scores"][index])
            if radius is not None:
                parts["radius"] = radius[index]
            if "visibility" in outputs:
                parts["presence"], parts["seen"] = outputs["visibility"][index].T
            novelty = float(outputs["novelty"][index]) if "novelty" in outputs else None
            refused = ""
            if self.refuse and limits is not None and novelty is not None:
                refused = refusal(novelty, limits.limit)
            if refused:  # one instance without keypoints, and no point where they have no names
                count = len(self.names) if has_names(self.metainfo) else 0
                parts = dict(keypoints=np.full((count, 2), np.nan), scores=np.zeros(count))
            parts = {name: each.astype(np.float32) for name, each in parts.items()}
            instance = Instance(
                box=view.row[:4].astype(np.float32),
                box_score=float(view.row[4]),
                novelty=novelty,
                refused=refused,
                **parts,
            )
            yield [instance] if refused else self._of_task(instance, outputs, index)

    def _of_task(
        self, found: Instance, outputs: dict[str, np.ndarray], index: int
    ) -> list[Instance]:
        """The instances that a view's points are, with what follows from them."""
        task, plain = self.description.task, self.description.plain
        if task == "peaks":
            return _peaks(found)
        if task == "points":
            over = outputs["over"][index]
            count = points_before(over, plain["points"]["done_threshold"])
            ends = plain["points"]["interval"]
            interval = None
            if ends is not None:
                interval = (points_before(over, ends[0]), points_before(over, ends[1]))
            return [
                replace(
                    found,
                    keypoints=found.keypoints[:count],
                    scores=found.scores[:count],
                    interval=interval,
                    complete=bool(over[count] >= plain["points"]["done_threshold"]),
                )
            ]
        if task == "ruler":
            scale = scale_of(found.keypoints, found.radius, plain["ruler"]["mm"])
            return [replace(found, scale=scale)]
        return [found]


def _peaks(found: Instance) -> list[Instance]:
    """An instance of one point for each peak (K, M), the highest of each keypoint first."""
    coords, scores = found.keypoints, found.scores
    instances = []
    for rank, keypoint in np.argwhere(scores.T > 0):
        alone, score = np.full(coords[:, 0].shape, np.nan, np.float32), np.zeros_like(scores[:, 0])
        alone[keypoint], score[keypoint] = coords[keypoint, rank], scores[keypoint, rank]
        instances.append(replace(found, keypoints=alone, scores=score))
    return instances
