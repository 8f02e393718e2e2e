"""Graph whose file rtmlib's own classes read (https://github.com/Tau-J/rtmlib).

rtmlib decodes by itself: ``RTMPose`` takes the maxima of two vectors at two cells a px, ``ViTPose``
those of heatmaps with one Newton step on their blurred logarithm. The graph decodes as the model
does, and draws what these classes read back: scores are the model's, calibrated where it has a fit,
and heads and codecs that rtmlib does not know are drawn like the others.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from equikpt.apis.box_predictor import BoxPredictor, View
from equikpt.codecs.spread import SimCCSpread
from equikpt.export.graphs.topdown import KeypointGraph
from equikpt.export.parity import Parity
from equikpt.structures.pose_instance import output_scores, px_per_input_px
from equikpt.structures.uncertainty import DEFAULT_LEVEL

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Values that rtmlib subtracts and divides by, in OpenCV's order of channels: blue is first."""
PADDING = 1.25
SPLIT_RATIO = 2
"""Cells a px of rtmlib's vectors."""
STRIDE, SIGMA = 4, 1.0
"""Px a cell, and sigma in cells, of the heatmaps drawn: blurred Gaussians stay Gaussians."""
MAX_MEDIAN_PX = 0.5
"""Median distance, px of the input, of keypoints that rtmlib reads from those that the graph drew
above which an export fails. At the border rtmlib's decoding moves single ones by more."""


class RtmlibGraph(KeypointGraph):
    """Keypoints drawn for a class of rtmlib, from its inputs (N, 3, H, W) float32.

    Raises:
        ValueError: Boxes that rtmlib does not cut out, or as :class:`KeypointGraph`.
    """

    task = "rtmlib"
    can_be_verified = find_spec("rtmlib") is not None
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

    def verify(
        self, file: Path, predictor: BoxPredictor, views: Sequence[View], limit_px: float
    ) -> Parity:
        """Compare what rtmlib reads with what was drawn for it, whatever the limit of others.

        Raises:
            ValueError: Half of the keypoints are farther than :data:`MAX_MEDIAN_PX`.
        """
        found = self.measure(file, predictor, views)
        if not (median := found.others["median_px_of_decoding"]) <= MAX_MEDIAN_PX:
            raise ValueError(
                f"expected keypoints of rtmlib within {MAX_MEDIAN_PX:g} px of those drawn for it, "
                f"half of those on {found.images} images are farther than {median:.3g} px; nothing "
                "was written"
            )
        return found

    def measure(self, file: Path, predictor: BoxPredictor, views: Sequence[View]) -> Parity:
        """Compare what rtmlib reads from a file with the predictor, and with what was drawn.

        Of keypoints with a score above 0.05 alone: Gaussians of less are cut off by rtmlib. Its
        crops of UDP models lie up to one px beside those of training, which moves keypoints; the
        ``median_px_of_decoding`` is of its own crops, ``median_px`` of both together.
        """
        import rtmlib

        with contextlib.redirect_stdout(io.StringIO()):  # it says what it loads
            run = getattr(rtmlib, self.reader)(
                str(file), model_input_size=tuple(self.size), backend="onnxruntime", device="cpu"
            )
        distances, decoding, scores = [], [], [0.0]
        with self.flipping():
            for image, box in views:
                (sample,) = predictor.samples(image, [box])
                keypoints, got = run(image, [np.asarray(box, float)])
                expected = output_scores(sample.pred_instances)[0]
                known = self.trained.numpy() & (expected > 0.05)
                apart = np.linalg.norm(keypoints[0] - sample.pred_instances.keypoints[0], axis=-1)
                distances.append((apart / px_per_input_px(sample.metainfo))[known])
                decoding.append(self._from_drawn(run, image, box, keypoints[0])[known])
                scores.append(float(np.abs(got[0] - expected)[known].max(initial=0)))
        each = np.concatenate(distances)
        if not len(each):
            raise ValueError(
                "expected images with keypoints that the model finds, got none; give others by "
                "--images"
            )
        highest = [float(one.max(initial=0)) for one in distances]
        against = f"rtmlib's {self.reader} with torch {torch.__version__.partition('+')[0]} float32"
        return Parity(
            images=len(views),
            mean_px=float(each.mean()),
            max_px=max(highest),
            against=against,
            others=dict(
                median_px=float(np.median(each)),
                median_px_of_decoding=float(np.median(np.concatenate(decoding))),
                scores=max(scores),
            ),
            worst=int(np.argmax(highest)),
        )

    def _from_drawn(
        self, run: Any, image: np.ndarray, box: np.ndarray, keypoints: np.ndarray
    ) -> np.ndarray:
        """Distances (K,), px of the input, of keypoints (K, 2) from those drawn for the crop."""
        crop, center, scale = run.preprocess(image, np.asarray(box, float))
        with torch.no_grad():
            planes = torch.from_numpy(crop.transpose(2, 0, 1).astype(np.float32))
            drawn = self.read(planes[None])["keypoints"][0].numpy()
        placed = (keypoints - center + scale / 2) / scale * self.size
        return np.linalg.norm(placed - drawn, axis=-1)


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
