"""Decoding of heatmaps and of SimCC in torch operations that a file can hold.

Each decoder computes what ``decode`` and ``spread`` of a codec do, for a batch at once; those, in
numpy, are what it is tested against. Letters: N crops, K keypoints, W columns, H rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from mmpose.codecs import MSRAHeatmap, SimCCLabel, UDPHeatmap
from torch import Tensor, nn
from torch.nn import functional

from equikpt.codecs.point_sequence import PointSequence
from equikpt.codecs.softmax_heatmap import SoftmaxHeatmap
from equikpt.codecs.spread import POWER, SIMCC_BETA, HeatmapSpread, SimCCSpread, SoftmaxSpread
from equikpt.export.maps import (
    TINY,
    Blur,
    beside,
    constant,
    disk_radius,
    entropy,
    maximum,
    newton_1d,
    solve,
)


class Decoded(NamedTuple):
    """Points of a batch.

    Args:
        coords: (N, K, 2) px of the crop.
        scores: (N, K) of the model.
        spread: (N, K) px of the crop; None where the codec has none.
    """

    coords: Tensor
    scores: Tensor
    spread: Tensor | None


class Decoder(nn.Module):
    """Decode what a head gives, as a codec does.

    Args:
        codec: The head's.
    """

    cell_px: Tensor

    def __init__(self, codec: Any, cell_px: Any) -> None:
        super().__init__()
        self.register_buffer("cell_px", constant(np.broadcast_to(cell_px, 2)))
        self.cell_area = float(np.prod(np.broadcast_to(cell_px, 2)))
        known = (HeatmapSpread, SoftmaxSpread, SimCCSpread)
        self.has_spread = any(getattr(type(codec), "spread", None) is each.spread for each in known)


class UdpDecoder(Decoder):
    """Decode Gaussian heatmaps by one Newton step on the blurred log heatmap (UDP, DARK)."""

    def __init__(self, codec: UDPHeatmap) -> None:
        if codec.heatmap_type != "gaussian":
            raise ValueError(
                f"expected heatmap_type='gaussian', got {codec.heatmap_type!r}, which an exported "
                "file does not decode"
            )
        super().__init__(codec, codec.scale_factor)
        # the codec decodes to input_size at the last cell, and encodes from input_size − 1
        last = np.array(codec.heatmap_size) - 1
        self.cell_px = constant(np.array(codec.input_size) / last)
        self.blur = Blur(codec.blur_kernel_size)

    def forward(self, heatmaps: Tensor) -> Decoded:
        """Decode heatmaps (N, K, H, W)."""
        cells, scores = maximum(heatmaps)
        height, width = heatmaps.shape[-2:]
        logs = self.blur(heatmaps).clamp(1e-3, 50.0).log()
        flat = functional.pad(logs, (1, 1, 1, 1), mode="replicate").flatten(1)
        row = width + 2
        plane, count = row * (height + 2), heatmaps.shape[1]
        # MMPose looks beyond a map's start where no value is above 0; so does this
        start = torch.arange(count, device=cells.device) * plane
        middle = (cells[..., 1] + 1) * row + cells[..., 0] + 1 + start

        def at(step: int) -> Tensor:
            return flat.gather(1, torch.remainder(middle + step, plane * count))

        here, right, left, below, above = at(0), at(1), at(-1), at(row), at(-row)
        gradient = torch.stack([right - left, below - above], dim=-1) / 2
        xx, yy = right - 2 * here + left, below - 2 * here + above
        xy = (at(row + 1) - right - below + 2 * here - left - above + at(-row - 1)) / 2
        epsilon = float(np.finfo(np.float32).eps)
        step = solve(xx + epsilon, xy, yy + epsilon, gradient)
        coords = (cells - step) * self.cell_px
        return Decoded(coords, scores, _heatmap_spread(self, heatmaps))


class MsraDecoder(Decoder):
    """Decode Gaussian heatmaps by a quarter of a cell towards the second highest neighbour."""

    def __init__(self, codec: MSRAHeatmap) -> None:
        super().__init__(codec, codec.scale_factor)

    def forward(self, heatmaps: Tensor) -> Decoded:
        """Decode heatmaps (N, K, H, W)."""
        cells, scores = maximum(heatmaps)
        coords = (cells + self.offsets(heatmaps, cells)) * self.cell_px
        return Decoded(coords, scores, _heatmap_spread(self, heatmaps))

    def offsets(self, heatmaps: Tensor, cells: Tensor) -> Tensor:
        """Offsets (N, K, 2) from the highest cells (N, K, 2)."""
        height, width = heatmaps.shape[-2:]
        x, y = cells.unbind(-1)
        dx = beside(heatmaps, cells, 1, 0) - beside(heatmaps, cells, -1, 0)
        dy = beside(heatmaps, cells, 0, 1) - beside(heatmaps, cells, 0, -1)
        in_x = (x > 1) & (x < width - 1) & (y > 0)
        in_y = (y > 1) & (y < height - 1) & (x > 0)
        return torch.stack([dx.sign() * in_x, dy.sign() * in_y], dim=-1) / 4


class UnbiasedDecoder(MsraDecoder):
    """Decode Gaussian heatmaps by a Newton step with wider differences (DARK)."""

    def __init__(self, codec: MSRAHeatmap) -> None:
        super().__init__(codec)
        self.blur = Blur(codec.blur_kernel_size)

    def offsets(self, heatmaps: Tensor, cells: Tensor) -> Tensor:
        """As of the class it is derived from."""
        height, width = heatmaps.shape[-2:]
        logs = self.blur(heatmaps).clamp_min(1e-10).log()

        def at(dx: int, dy: int) -> Tensor:
            return beside(logs, cells, dx, dy)

        here = at(0, 0)
        gradient = torch.stack([at(1, 0) - at(-1, 0), at(0, 1) - at(0, -1)], dim=-1) / 2
        xx = (at(2, 0) - 2 * here + at(-2, 0)) / 4
        yy = (at(0, 2) - 2 * here + at(0, -2)) / 4
        xy = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4
        x, y = cells.unbind(-1)
        inside = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
        usable = inside & (xx * yy - xy * xy != 0)
        ones, zeros = torch.ones_like(xx), torch.zeros_like(xy)
        step = solve(
            torch.where(usable, xx, ones),
            torch.where(usable, xy, zeros),
            torch.where(usable, yy, ones),
            gradient,
        )
        return torch.where(usable[..., None], -step, torch.zeros_like(step))


def msra_decoder(codec: MSRAHeatmap) -> Decoder:
    """Choose the decoder of a codec by its ``unbiased``."""
    return UnbiasedDecoder(codec) if codec.unbiased else MsraDecoder(codec)


class SoftmaxDecoder(Decoder):
    """Decode logits by the expected position around the highest one."""

    def __init__(self, codec: SoftmaxHeatmap) -> None:
        super().__init__(codec, codec.stride_px)
        self.radius = codec.radius

    def forward(self, logits: Tensor) -> Decoded:
        """Decode logits (N, K, H, W)."""
        height, width = logits.shape[-2:]
        flat = logits.flatten(2)
        probability = flat.softmax(dim=-1)
        highest = flat.argmax(dim=-1, keepdim=True)
        cell = torch.stack([highest % width, highest // width], dim=-1)  # (N, K, 1, 2)
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        offset = torch.stack([columns, rows], dim=-1).reshape(-1, 2).to(cell) - cell
        window = probability * (offset.abs() <= self.radius).all(dim=-1)
        scores = window.sum(dim=-1)
        mean = (window[..., None] * offset).sum(dim=-2) / scores[..., None]
        coords = (cell[..., 0, :] + mean) * self.cell_px
        spread = disk_radius(entropy(probability), self.cell_area) if self.has_spread else None
        return Decoded(coords, scores.clamp_max(1.0), spread)


class SimccDecoder(Decoder):
    """Decode two one-dimensional classifications by their maxima."""

    def __init__(self, codec: SimCCLabel) -> None:
        super().__init__(codec, 1 / codec.simcc_split_ratio)
        self.blurs = nn.ModuleList()
        if codec.use_dark:
            for sigma in np.broadcast_to(codec.sigma, 2).tolist():
                size = int((sigma * 20 - 7) // 3)
                self.blurs.append(Blur(size - (size % 2 == 0), is_flat=True))

    def forward(self, logits: tuple[Tensor, Tensor]) -> Decoded:
        """Decode logits (N, K, W) and (N, K, H)."""
        highest = [each.max(dim=-1) for each in logits]
        scores = torch.minimum(highest[0].values, highest[1].values)
        cells = torch.stack([each.indices for each in highest], dim=-1)
        cells = torch.where((scores > 0)[..., None], cells, torch.full_like(cells, -1))
        coords = cells.float()
        if len(self.blurs):
            steps = [
                newton_1d(blur(each), cells[..., axis])
                for axis, (blur, each) in enumerate(zip(self.blurs, logits, strict=True))
            ]
            coords = coords - torch.stack(steps, dim=-1)
        spread = None
        if self.has_spread:
            entropies = [entropy((SIMCC_BETA * each).softmax(dim=-1)) for each in logits]
            spread = disk_radius(entropies[0] + entropies[1], self.cell_area)
        return Decoded(coords * self.cell_px, scores, spread)


class SequenceDecoder(Decoder):
    """Decode the named steps of a sequence, which are normalised coords."""

    def __init__(self, codec: PointSequence) -> None:
        super().__init__(codec, np.array(codec.input_size) / 2)

    def forward(self, run: Any) -> Decoded:
        """Decode a :class:`~equikpt.export.graphs.sequence.Sequence` of N crops."""
        return Decoded((run.coords + 1) * self.cell_px, run.scores, None)


DECODERS: dict[Any, Any] = {
    UDPHeatmap: UdpDecoder,
    MSRAHeatmap: msra_decoder,
    SoftmaxHeatmap: SoftmaxDecoder,
    SimCCLabel: SimccDecoder,
    PointSequence: SequenceDecoder,
}
"""Classes of codecs, and what makes their decoder."""


def decoder_of(codec: Any) -> Decoder:
    """Make the decoder of a codec whose ``decode`` is that of a class in :data:`DECODERS`.

    Raises:
        ValueError: Another codec.
    """
    for known, make in DECODERS.items():
        if getattr(type(codec), "decode", None) is known.decode:
            return make(codec)
    raise ValueError(
        f"expected a codec that an exported file can decode ("
        f"{', '.join(each.__name__ for each in DECODERS)} and what is derived from them), got "
        f"{type(codec).__name__}"
    )


def _heatmap_spread(decoder: Decoder, heatmaps: Tensor) -> Tensor | None:
    """Spread (N, K) of heatmaps (N, K, H, W); an empty one spreads over all of it."""
    if not decoder.has_spread:
        return None
    highest = heatmaps.flatten(2).clamp_min(0)
    # relative to the highest, whose cube float32 can hold
    peak = highest.amax(dim=-1, keepdim=True)
    weights = (highest / peak.clamp_min(TINY)) ** POWER
    weights = torch.where(peak > 0, weights, torch.ones_like(weights))
    return disk_radius(entropy(weights / weights.sum(dim=-1, keepdim=True)), decoder.cell_area)
