"""Coords on a feature map: embedded, sampled, preferred, avoided.

Normalised coords are (x, y) in −1 to 1 over the input: −1 is px 0, and cell i of n is at 2i/n − 1,
as strided convolutions put it. Letters: B images, C channels, T cells of the map, N points,
S steps, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample, pad, softplus


def cell_centers(features: Tensor) -> Tensor:
    """Coords (T, 2) of the cells of features (B, C, H, W), row by row."""
    axes = (
        2 * torch.arange(size, device=features.device) / size - 1 for size in features.shape[-2:]
    )
    y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2)


def sample_point_features(features: Tensor, coords: Tensor) -> Tensor:
    """Features (B, N, C) where coords (B, N, 2) lie in (B, C, H, W), bilinear, 0 outside.

    >>> features = torch.arange(4.0).view(1, 1, 2, 2)
    >>> sample_point_features(features, cell_centers(features)[None]).flatten()
    tensor([0., 1., 2., 3.])
    """
    height, width = features.shape[-2:]
    # without align_corners, grid_sample has the middle of the first cell at −1 + 1/n
    x, y = coords.float().unbind(dim=-1)
    grid = torch.stack([x + 1 / width, y + 1 / height], dim=-1)
    sampled = grid_sample(features.float(), grid[:, :, None], align_corners=False)
    return sampled[..., 0].transpose(1, 2)


def squared_distances(coords: Tensor, others: Tensor) -> Tensor:
    """(..., N, T) from coords (..., N, 2) to others (T, 2)."""
    return (coords[..., :, None, :] - others).square().sum(dim=-1)


class FourierPositionEncoding(nn.Module):
    """Coords (..., 2) as sines and cosines of ``octaves`` wavelengths, mapped to (..., D).

    Source: Tancik et al., 2020, https://arxiv.org/abs/2006.10739.
    """

    def __init__(self, width: int, octaves: int = 6) -> None:
        super().__init__()
        self.octaves = octaves
        self.project = nn.Linear(4 * octaves, width)

    def forward(self, coords: Tensor) -> Tensor:
        """Embed coords (..., 2), giving (..., D)."""
        frequencies = torch.pi / 2 * 2.0 ** torch.arange(self.octaves, device=coords.device)
        phases = (coords[..., None] * frequencies).flatten(-2)
        return self.project(torch.cat([phases.sin(), phases.cos()], dim=-1))


class GaussianFoveation(nn.Module):
    """A spatial prior around the current guess, narrower with each glimpse.

    Args:
        first_sigma: Of the second glimpse, in normalised coords; the first sees the whole input.
        narrowing: Factor of sigma from one glimpse to the next, above 0 and up to 1.
    """

    def __init__(self, first_sigma: float = 0.2, narrowing: float = 0.5) -> None:
        super().__init__()
        if not first_sigma > 0 or not 0 < narrowing <= 1:
            raise ValueError(
                "expected first_sigma above 0 and narrowing above 0 and up to 1, got "
                f"{first_sigma} and {narrowing}"
            )
        self.first_sigma = first_sigma
        self.narrowing = narrowing

    def sigma(self, glimpse: int) -> float:
        """Sigma of glimpse 1, 2, …, in normalised coords."""
        return self.first_sigma * self.narrowing ** (glimpse - 1)

    def forward(self, guess: Tensor, coords: Tensor, glimpse: int) -> Tensor:
        """Log of the prior, (B, S, T), 0 at the guess (B, S, 2) and below everywhere else."""
        return -squared_distances(guess, coords) / (2 * self.sigma(glimpse) ** 2)


class InhibitionOfReturn(nn.Module):
    """Suppress a Gaussian around each marked point, of learnt depth and width.

    Args:
        sigma: Initial width in normalised coords, above 0.
        strength: Initial depth in nats, above 0.
    """

    def __init__(self, sigma: float = 0.08, strength: float = 4.0) -> None:
        super().__init__()
        if not sigma > 0 or not strength > 0:
            raise ValueError(f"expected sigma and strength above 0, got {sigma} and {strength}")
        # softplus of them are the sigma and the strength
        self.raw_sigma = nn.Parameter(torch.tensor(sigma).expm1().log())
        self.raw_strength = nn.Parameter(torch.tensor(strength).expm1().log())

    def suppression(self, points: Tensor, valid: Tensor, coords: Tensor) -> Tensor:
        """(B, N, T), at most 0: that of each of the points (B, N, 2); none where not valid."""
        width = 2 * softplus(self.raw_sigma).square()
        near = torch.exp(-squared_distances(points, coords) / width)
        return -softplus(self.raw_strength) * near * valid[..., None]

    def forward(self, points: Tensor, valid: Tensor, coords: Tensor) -> Tensor:
        """(B, N + 1, T): at step n the sum of the suppression of the n points before it."""
        suppression = self.suppression(points, valid, coords)
        return pad(suppression.cumsum(dim=1), (0, 0, 1, 0))
