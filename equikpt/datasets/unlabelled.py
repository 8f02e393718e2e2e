"""Images without labels, each as two views whose affine map to each other is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dataset import Compose
from torch.utils.data import Dataset, Sampler

from equikpt.core.pipelines import CROPS, LOSS_ONLY, fill_codec

LEFT_OUT = (
    *LOSS_ONLY,
    "RandomHalfBodyCrop",
    "RandomElastic",
    "PackPoseInputs",
    "FastPackPoseInputs",
)
"""Transforms of a training pipeline that need labels, or bend the image."""
WEAK_MOVE = dict(
    type="FastRandomBBoxTransform",
    rotate_factor=15,
    rotate_prob=0.5,
    scale_factor=(0.85, 1.15),
    shift_factor=0.05,
)
MAX_RESIDUAL_PX = 0.5
PROBES = np.stack(np.meshgrid([0.25, 0.5, 0.75], [0.25, 0.5, 0.75]), axis=-1).reshape(-1, 2)
"""(P, 2) fractions of a box: points that go through the pipelines in place of keypoints."""


def views(pipeline: Sequence[Mapping]) -> tuple[list[Mapping], list[Mapping]]:
    """Derive the pipelines of the weak and of the strong view from that of the training.

    The strong one is the training's own, but for :data:`LEFT_OUT`. The weak one cuts out the box,
    moved a little.

    Raises:
        ValueError: The pipeline does not cut out a box.
    """
    types = [step.get("type") for step in pipeline]
    crop = next((step for step in pipeline if step.get("type") in CROPS), None)
    if crop is None or "GetBBoxCenterScale" not in types:
        raise ValueError(
            "expected a training pipeline with GetBBoxCenterScale and TopdownAffineCrop for "
            f"unlabelled images, got {', '.join(map(str, types))}; use a top-down config"
        )
    box = pipeline[types.index("GetBBoxCenterScale")]
    strong = [step for step in pipeline if step.get("type") not in LEFT_OUT]
    return [pipeline[0], box, WEAK_MOVE, crop], strong


class UnlabelledDataset(Dataset):
    """Two views of each box of an image.

    A sample holds ``weak`` and ``strong`` (C, H, W) uint8, the affine ``matrix`` (2, 3) from px of
    the weak view to px of the strong one, and ``img_path``.

    Args:
        images: Path and box (left, top, right, bottom, px) of each.
        pipeline: That of the training; :func:`views` makes both of it.
        codec: Config of the codec, for crops that name no size.

    Raises:
        ValueError: As :func:`views`; while loading, a transform that bends the image.
    """

    def __init__(
        self,
        images: Sequence[tuple[str | Path, np.ndarray]],
        pipeline: Sequence[Mapping],
        codec: Mapping[str, Any] | None,
    ) -> None:
        self.images = list(images)
        (load, *weak), (_, *strong) = (
            Compose(fill_codec(steps, codec)).transforms for steps in views(pipeline)
        )
        self._load, self._weak, self._strong = load, Compose(weak), Compose(strong)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict:
        path, box = self.images[index]
        low, high = np.split(np.asarray(box, np.float32), 2)
        points = (low + PROBES * (high - low)).astype(np.float32)[None]
        sample = self._load(dict(img_path=str(path), img_id=index, id=index))
        sample.update(
            bbox=np.asarray(box, np.float32)[None],
            bbox_score=np.ones(1, np.float32),
            keypoints=points,
            keypoints_visible=np.ones(points.shape[:2], np.float32),
            keypoints_visibility=np.full(points.shape[:2], 2, np.uint8),
            flip_indices=list(range(len(PROBES))),  # so that probes keep their rows
            upper_body_ids=[],
            lower_body_ids=[],
        )
        weak, strong = (view(dict(sample)) for view in (self._weak, self._strong))
        matrix = affine_between(*(each["transformed_keypoints"][0] for each in (weak, strong)))
        return dict(
            weak=planes(weak["img"]),
            strong=planes(strong["img"]),
            matrix=torch.from_numpy(matrix.astype(np.float32)),
            img_path=str(path),
        )


def affine_between(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(2, 3) affine map of points (P, 2) to others (P, 2), both px.

    Raises:
        ValueError: There is none to :data:`MAX_RESIDUAL_PX`.

    >>> square = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]])
    >>> affine_between(square, 2 * square + (3, 4)).round(6) + 0.0
    array([[2., 0., 3.],
           [0., 2., 4.]])
    """
    homogeneous = np.hstack([source.astype(float), np.ones((len(source), 1))])
    solution, *_ = np.linalg.lstsq(homogeneous, target.astype(float), rcond=None)
    residual = float(np.abs(homogeneous @ solution - target).max())
    if residual > MAX_RESIDUAL_PX:
        raise ValueError(
            "expected a training pipeline whose transforms are affine for unlabelled images, got "
            f"one that moves points by {residual:.1f} px more; leave out what bends images"
        )
    return solution.T


def planes(image: np.ndarray) -> torch.Tensor:
    """(C, H, W) tensor of an image (H, W, C)."""
    separate = np.empty((image.shape[2], *image.shape[:2]), image.dtype)
    cv2.split(image, list(separate))
    return torch.from_numpy(separate)


class StreamSampler(Sampler):
    """Sampler of a fixed number of images an epoch, in a stream of permutations.

    All images come equally often, though epochs end anywhere. An epoch's images depend on the seed
    and on its number alone, so that a resumed run sees the same ones; ranks share them out.

    Args:
        size: Of the data set.
        count: Images an epoch of one rank.
        seed: Of the permutations.
        rank: Of this process.
        world_size: Number of processes.
    """

    def __init__(
        self, size: int, count: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.size, self.count, self.seed = size, count, seed
        self.rank, self.world_size = rank, world_size
        self.epoch = 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        total = self.count * self.world_size
        places = range(total * self.epoch + self.rank, total * (self.epoch + 1), self.world_size)
        order, known = np.empty(0, int), -1
        for place in places:
            turn, position = divmod(place, self.size)
            if turn != known:
                order, known = np.random.default_rng([self.seed, turn]).permutation(self.size), turn
            yield int(order[position])


def cut_out(
    image: torch.Tensor, points: torch.Tensor, size_range: tuple[float, float]
) -> torch.Tensor:
    """Cover points (P, 2) of an image (C, H, W) uint8 with rectangles of noise, in a copy.

    A point lies anywhere in its rectangle. Random numbers come from torch's global state.

    Args:
        image: Input of the model.
        points: px.
        size_range: Minimum and maximum side, fractions of the shorter side of the image.
    """
    image = image.clone()
    height, width = image.shape[1:]
    low, high = (fraction * min(height, width) for fraction in size_range)
    sides = (low + (high - low) * torch.rand(len(points), 2)).round().clamp(min=1)
    corners = (points.cpu().round() - (torch.rand(len(points), 2) * sides).floor()).int()
    for (x0, y0), (w, h) in zip(corners.tolist(), sides.int().tolist(), strict=True):
        part = image[:, max(0, y0) : max(0, y0 + h), max(0, x0) : max(0, x0 + w)]
        part.copy_(torch.randint(256, part.shape, dtype=image.dtype))
    return image
