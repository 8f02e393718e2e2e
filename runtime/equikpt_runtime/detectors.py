"""Boxes of animals by a detector in an ONNX file.

Three kinds of files are known by the names of their outputs:

- ``dets`` (1, N, 5), boxes and score, with ``labels`` (1, N): RTMDet and others of MMDeploy. The
  image is fitted into the upper left of the input, gray elsewhere, and normalized.
- ``boxes`` (N, 4), ``labels`` (N,) and ``scores`` (N,): torchvision. The input is the image, RGB,
  0 to 1; where the file has a fixed size, the image is fitted into it likewise.
- one output (1, N, 5 + C): YOLOX as Megvii exports it, without its decoding, which is done here.

Lengths are px of the input, and of the image where it says so.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import cv2
import numpy as np

from equikpt_runtime.backends import load_network
from equikpt_runtime.images import as_image

_COCO_NAMES = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,"
    "stop sign,parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,"
    "backpack,umbrella,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,"
    "baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,"
    "banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,"
    "potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,"
    "oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"
)
COCO_CLASSES = tuple(_COCO_NAMES.split(","))
_NO_CATEGORY = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
"""Numbers that COCO's categories leave out; torchvision counts by them."""
COCO_CATEGORIES = [number for number in range(1, 91) if number not in _NO_CATEGORY]
SIZE_PX = 640
"""Side of the input of files that leave it open, but for torchvision's."""
GRAY = 114
MEAN_BGR, STD_BGR = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
STRIDES_PX = (8, 16, 32)
MAX_OVERLAP = 0.45
"""Overlap of two boxes of YOLOX from which the less certain one is left out."""


class Detector:
    """A detector that takes images (H, W, 3) uint8, BGR, and gives their boxes.

    Args:
        path: ONNX file.
        label: Class that is looked for: one of COCO's names, or the number that the file gives for
            it. The names are right where the file has COCO's 80 classes.
        min_score: Boxes below are left out.
        backend: As of :class:`~equikpt_runtime.model.Model`, like ``threads``.
        threads: Cores to compute on.

    Raises:
        FileNotFoundError: No such file.
        ImportError: The library of the backend is not installed.
        ValueError: A file of another kind, no such class, or a score out of its range.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        label: str | int = "horse",
        min_score: float = 0.5,
        backend: str | None = None,
        threads: int | None = None,
    ) -> None:
        if not 0 <= min_score <= 1:
            raise ValueError(f"expected a detector's score of 0 to 1, got {min_score:g}")
        self.min_score = min_score
        self._network = load_network(path, backend, threads)
        shape = self._network.input_shape
        outputs = {name for names in self._network.outputs for name in names}
        if {"dets", "labels"} <= outputs:
            self.kind = "rtmdet"
        elif {"boxes", "labels", "scores"} <= outputs:
            self.kind = "torchvision"
        elif len(self._network.outputs) == 1:
            self.kind = "yolox"
        else:
            raise ValueError(
                f"expected a detector with the outputs dets and labels, or boxes, labels and "
                f"scores, or one (1, N, 5 + C) in {path}, it has {', '.join(sorted(outputs))}"
            )
        self._has_batch = len(shape) == 4
        fixed = [side if isinstance(side, int) and side > 0 else None for side in shape[-2:]]
        self._size = None if self.kind == "torchvision" else (SIZE_PX, SIZE_PX)
        if None not in fixed:
            self._size = (int(fixed[1] or 0), int(fixed[0] or 0))
        self.label = self._number(str(label))

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Find boxes (N, 5), left, top, right, bottom in px of the image and score, best first."""
        image = as_image(image)
        size = self._size or (image.shape[1], image.shape[0])
        fitted, scale = _fitted(image, size)
        found = self._network(self._input(fitted))
        boxes, scores, labels = self._decoded(found, size)
        wanted = (labels == self.label) & (scores >= self.min_score)
        height, width = image.shape[:2]
        boxes = (boxes[wanted] / scale).clip(0, [width, height, width, height])
        rows = np.column_stack([boxes, scores[wanted]])
        rows = rows[(rows[:, 2:4] > rows[:, :2]).all(axis=1)]
        return rows[np.argsort(-rows[:, 4], kind="stable")]

    def _number(self, label: str) -> int:
        if label.isdigit():
            return int(label)
        if label not in COCO_CLASSES:
            raise ValueError(
                f"expected one of COCO's classes, {', '.join(COCO_CLASSES)}, or the number that "
                f"the detector has for its class, got {label!r}"
            )
        index = COCO_CLASSES.index(label)
        return COCO_CATEGORIES[index] if self.kind == "torchvision" else index

    def _input(self, fitted: np.ndarray) -> np.ndarray:
        values: np.ndarray = fitted.astype(np.float32)
        if self.kind == "rtmdet":
            values = (values - np.array(MEAN_BGR, np.float32)) / np.array(STD_BGR, np.float32)
        elif self.kind == "torchvision":
            values = values[..., ::-1] / np.float32(255)
        planes = np.ascontiguousarray(values.transpose(2, 0, 1))
        return planes[None] if self._has_batch else planes

    def _decoded(
        self, found: dict[str, np.ndarray], size: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Boxes (N, 4) in px of the input, scores (N,) and labels (N,)."""
        if self.kind == "torchvision":
            return found["boxes"], found["scores"], found["labels"]
        if self.kind == "rtmdet":
            return found["dets"][0, :, :4], found["dets"][0, :, 4], found["labels"][0]
        rows = next(iter(found.values()))  # by whatever name
        return decode_yolox(rows[0], size, self.label, self.min_score)


def decode_yolox(
    rows: np.ndarray, size: tuple[int, int], label: int, min_score: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decode YOLOX's rows (N, 5 + C) of an input of ``size`` (width, height), without doubles.

    Returns:
        Boxes (n, 4) of one class, scores (n,) and labels (n,).

    Raises:
        ValueError: Another number of rows than the grids of an input have, or no such class.
    """
    grids = [(size[0] // stride, size[1] // stride, stride) for stride in STRIDES_PX]
    count = sum(columns * height for columns, height, _ in grids)
    if len(rows) != count or rows.shape[1] <= 5 + label:
        raise ValueError(
            f"expected {count} rows of at least {6 + label} values of YOLOX for an input of "
            f"{size[0]} x {size[1]} px and the class {label}, got {rows.shape}; export it without "
            "its decoding, and give the number of the class"
        )
    cells = np.concatenate(
        [np.stack(np.meshgrid(range(w), range(h)), -1).reshape(-1, 2) for w, h, _ in grids]
    )
    strides = np.repeat([stride for *_, stride in grids], [w * h for w, h, _ in grids])[:, None]
    scores = rows[:, 4] * rows[:, 5 + label]
    sure = scores >= min_score
    middle = ((rows[:, :2] + cells) * strides)[sure]
    sides = (np.exp(rows[:, 2:4][sure])) * strides[sure]
    corners = np.concatenate([middle - sides / 2, sides], axis=1)
    found = cv2.dnn.NMSBoxes(corners.tolist(), scores[sure].tolist(), min_score, MAX_OVERLAP)
    kept = np.asarray(found, int).ravel()
    boxes = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1)[kept]
    return boxes, scores[sure][kept], np.full(len(kept), label)


def _fitted(image: np.ndarray, size: Sequence[int]) -> tuple[np.ndarray, float]:
    """An image in the upper left of a gray one of ``size``, and its scale there."""
    height, width = image.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    inner = (max(1, int(width * scale)), max(1, int(height * scale)))
    canvas = np.full((size[1], size[0], 3), GRAY, np.uint8)
    canvas[: inner[1], : inner[0]] = cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)
    return canvas, scale
