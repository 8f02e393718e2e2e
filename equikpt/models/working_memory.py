"""A memory over points that were given one after another."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from equikpt.models.coords import FourierPositionEncoding, sample_point_features


class CausalLayer(nn.Module):
    """A pre-norm transformer layer in which a step attends to itself and to those before it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.feed_forward = feed_forward(width)

    def forward(
        self, tokens: Tensor, cache: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """New tokens (B, S, D), and keys and values (B, heads, S, D / heads) of all steps so far.

        Args:
            tokens: (B, S, D): all steps, or with ``cache`` the next one (S = 1).
            cache: Keys and values that the call for the step before returned.
        """
        query, key, value = (
            split_heads(part, self.heads)
            for part in self.project(self.norm(tokens)).chunk(3, dim=-1)
        )
        if cache is not None:
            key, value = torch.cat([cache[0], key], 2), torch.cat([cache[1], value], 2)
        attended = scaled_dot_product_attention(query, key, value, is_causal=cache is None)
        tokens = tokens + self.merge(attended.transpose(1, 2).flatten(-2))
        return tokens + self.feed_forward(tokens), (key, value)


def split_heads(tokens: Tensor, heads: int) -> Tensor:
    """(B, S, D) to (B, heads, S, D / heads)."""
    return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)


def feed_forward(width: int) -> nn.Sequential:
    """Norm and two layers, (..., D) to (..., D), to be added to their input."""
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, 2 * width),
        nn.GELU(),
        nn.Linear(2 * width, width),
    )


class WorkingMemory(nn.Module):
    """Memory of the points so far: their coords, their features and their order.

    Args:
        channels: C of the features that are sampled at the points.
        width: D.
        heads: Attention heads.
        layers: Layers of :class:`CausalLayer`.
        names: Number of named steps, each with an embedding of its own; 0 for unnamed ones.
    """

    def __init__(self, channels: int, width: int, heads: int, layers: int, names: int) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.randn(width) * 0.02)
        self.names = nn.Parameter(torch.randn(names, width) * 0.02) if names else None
        self.place = FourierPositionEncoding(width)
        self.look = nn.Linear(channels, width)
        self.layers = nn.ModuleList(CausalLayer(width, heads) for _ in range(layers))

    def tokens(self, features: Tensor, points: Tensor, valid: Tensor) -> Tensor:
        """(B, N, D) of points (B, N, 2); nothing, 0, of those that are not valid (B, N)."""
        known = self.place(points) + self.look(sample_point_features(features, points))
        return known * valid[..., None]

    def forward(self, features: Tensor, points: Tensor, valid: Tensor) -> Tensor:
        """(B, N + 1, D) the state of each step; the first knows nothing but the start."""
        start = self.start.expand(len(points), 1, -1)
        steps = torch.cat([start, self.tokens(features, points, valid)], dim=1)
        if self.names is not None:
            steps = steps + self.names[: steps.shape[1]]
        for layer in self.layers:
            steps, _ = layer(steps)
        return steps

    def step(self, token: Tensor, number: int, caches: list) -> tuple[Tensor, list]:
        """The next step alone, (B, 1, D), with the caches of the layers before and after it."""
        if self.names is not None:
            token = token + self.names[number]
        kept = []
        for layer, cache in zip(self.layers, caches, strict=True):
            token, cache = layer(token, cache)
            kept.append(cache)
        return token, kept
