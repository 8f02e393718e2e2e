"""Graph whose file rtmlib's own classes read (https://github.com/Tau-J/rtmlib).

rtmlib decodes by itself: ``RTMPose`` takes the maxima of two vectors at two cells a px, ``ViTPose``
those of heatmaps with one Newton step on their blurred logarithm. The graph decodes as the model
does, and draws what these classes read back: scores are the model's, calibrated where it has a fit,
and heads and codecs that rtmlib does not know are drawn like the others.
"""

from __future__ import annotations

from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from equikpt.apis.box_predictor import BoxPredictor
from equikpt.codecs.spread import SimCCSpread
from equikpt.export.graphs.topdown import KeypointGraph
from equikpt.structures.uncertainty import DEFAULT_LEVEL

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Values that rtmlib subtracts and divides by, in OpenCV's order of channels: blue is first."""
PADDING = 1.25
SPLIT_RATIO = 2
"""Cells a px of rtmlib's vectors."""
STRIDE, SIGMA = 4, 1.0
"""Px a cell, and sigma in cells, of the heatmaps drawn: blurred Gaussians stay Gaussians."""


class RtmlibGraph(KeypointGraph):
    """Keypoints drawn for a class of rtmlib, from its inputs (N, 3, H, W) float32.

    Args:
        predictor: As :class:`KeypointGraph`.
        cfg: As :class:`KeypointGraph`.
        flip_test: As :class:`KeypointGraph`.
        level: As :class:`KeypointGraph`.

    Raises:
        ValueError: Boxes that rtmlib does not cut out, or as :class:`KeypointGraph`.
    """

    task = "rtmlib"
    rtmlib_mean: Tensor
    rtmlib_std: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(
        self,
        predictor: BoxPredictor,
        cfg: Config,
        flip_test: bool | None = None,
        level: float = DEFAULT_LEVEL,
    ) -> None:
        super().__init__(predictor, cfg, flip_test, level)
        if self.crop["rule"] != "box" or self.crop["padding"] != PADDING:
            raise ValueError(
                f"expected a model of boxes padded by {PADDING}, as rtmlib cuts them out, got "
                f"{self.crop}; leave out --for rtmlib"
            )
        is_simcc = isinstance(self.model.head.decoder, SimCCSpread)
        self.reader = "RTMPose" if is_simcc else "ViTPose"
        for name, values in (("rtmlib_mean", MEAN), ("rtmlib_std", STD)):
            self.register_buffer(name, torch.tensor(values)[:, None, None])
        width, height = self.size
        self.register_buffer("columns", _stretch(width).T)
        self.register_buffer("rows", _stretch(height))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """``simcc_x`` (N, K, 2 w) and ``simcc_y`` (N, K, 2 h), or ``heatmaps`` (N, K, h/4, w/4)."""
        found = self.read(image)
        keypoints, scores = torch.nan_to_num(found["keypoints"]), found["scores"][..., None]
        size = keypoints.new_tensor(self.size)
        places = keypoints / size
        if self.reader == "RTMPose":
            vectors = []
            for axis, side in enumerate(self.size):
                cells = torch.arange(SPLIT_RATIO * side)
                cell = torch.round(places[..., axis : axis + 1] * len(cells))
                vectors.append((cells == cell.clamp(0, len(cells) - 1)) * scores)
            return dict(simcc_x=vectors[0], simcc_y=vectors[1])
        across, down = (
            _gaussian(places[..., axis : axis + 1], side // STRIDE)
            for axis, side in enumerate(self.size)
        )
        return dict(heatmaps=down[..., :, None] * across[..., None, :] * scores[..., None])

    def read(self, image: Tensor) -> dict[str, Tensor]:
        """Compute the keypoints (N, K, 2), px of the crop, and scores that are drawn."""
        bgr = image * self.rtmlib_std + self.rtmlib_mean
        if self.crop["udp"]:
            bgr = self.rows @ bgr @ self.columns
        return super().forward(bgr.flip(1).permute(0, 2, 3, 1))

    def input(self) -> dict[str, Any]:
        """State the input that the class ``reader`` of rtmlib makes, given the size."""
        return dict(
            kind="rtmlib",
            size=self.size,
            crop=dict(self.crop, udp=False),
            reader=self.reader,
            color="BGR",
            layout="NCHW",
            dtype="float32",
        )

    def example(self) -> Tensor:
        """Two of rtmlib's inputs."""
        return super().example().permute(0, 3, 1, 2).float()


def _stretch(side: int) -> Tensor:
    """Matrix (side, side) that interpolates the px of UDP's crop from those of rtmlib's.

    Both begin at an edge of the box; the last px of UDP's is at the other edge.
    """
    place = (torch.arange(side) * side / (side - 1)).clamp_max(side - 1)
    return (1 - (place[:, None] - torch.arange(side)).abs()).clamp_min(0)


def _gaussian(places: Tensor, cells: int) -> Tensor:
    """Draw places (…, 1), 0 at the first cell and 1 at the last, (…, cells); the highest is 1."""
    distance = torch.arange(cells) - places * (cells - 1)
    exponent = -distance.square() / (2 * SIGMA**2)
    return (exponent - exponent.amax(dim=-1, keepdim=True)).exp()
