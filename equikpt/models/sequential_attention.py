"""Glimpse, point, remember: attention that gives one point after another.

Letters: B images, C channels of the features, T cells of the feature map, N points, S steps,
D width; coords as in :mod:`equikpt.models.coords`. Step n knows the n points that were given
before it.

Related: pointer networks (Vinyals et al., 2015, https://arxiv.org/abs/1506.03134), recurrent models
of visual attention (Mnih et al., 2014, https://arxiv.org/abs/1406.6247), inhibition of return (Itti
et al., 1998, https://doi.org/10.1109/34.730558).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from equikpt.models.coords import (
    FourierPositionEncoding,
    GaussianFoveation,
    InhibitionOfReturn,
    cell_centers,
    squared_distances,
)
from equikpt.models.working_memory import WorkingMemory, feed_forward, split_heads

MAX_MORE = 10.0
"""Things that are still expected, beyond which their number says nothing about done."""


class Scene(NamedTuple):
    """A batch of images, ready for any number of glimpses."""

    features: Tensor
    """(B, C, H, W)."""
    coords: Tensor
    """(T, 2) of the cells."""
    keys: Tensor
    """(B, heads, T, D / heads)."""
    values: Tensor
    """(B, heads, T, D / heads)."""


class Glimpsed(NamedTuple):
    """Features that each step's glimpses of the scene give."""

    state: Tensor
    """(B, S, D)."""
    attention: Tensor
    """(B, S, T) logits of the map, the mean of its heads."""
    guess: Tensor
    """(B, S, 2): the coords that it points at."""


class Glimpse(nn.Module):
    """Cross-attention to the image's tokens under a spatial bias, and the mean of its map.

    Args:
        width: D.
        heads: Attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width))
        self.merge = nn.Linear(width, width)
        self.feed_forward = feed_forward(width)

    def forward(self, state: Tensor, scene: Scene, bias: Tensor) -> Glimpsed:
        """Attend once; ``bias`` (B, S, T) is added to the logits. The guess is the map's mean."""
        query = split_heads(self.query(state), self.heads)
        logits = query @ scene.keys.transpose(-1, -2) * query.shape[-1] ** -0.5
        logits = logits.float() + bias[:, None]
        attended = logits.softmax(dim=-1).to(scene.values) @ scene.values
        state = state + self.merge(attended.transpose(1, 2).flatten(-2))
        state = state + self.feed_forward(state)
        pointing = logits.mean(dim=1)
        with torch.autocast(pointing.device.type, enabled=False):  # bfloat16 would round to 0.7 px
            guess = pointing.softmax(dim=-1) @ scene.coords
        return Glimpsed(state, pointing, guess)


class Steps(NamedTuple):
    """Outputs of S steps."""

    coords: Tensor
    """(B, S, 2)."""
    done_logits: Tensor
    """(B, S)."""
    attention: Tensor
    """(B, S, T): the first glimpse's map, which sees the whole input, as the log of how many things
    that are not marked lie in each cell."""

    @property
    def count_left(self) -> Tensor:
        """Count the things that are not marked, (B, S): the sum of the map."""
        return self.attention.logsumexp(dim=-1).exp()


@dataclass
class Memory:
    """State that inference keeps between steps."""

    caches: list
    inhibition: Tensor
    """(B, 1, T): the suppression of all points so far."""
    number: int
    """Steps done."""
    total: Tensor | None
    """(B, 1): how many things the first step saw; None before it."""


class SequentialAttention(nn.Module):
    """Points one after another: all steps at once for training, one by one for inference.

    A step starts from what the working memory knows. Its first glimpse sees the whole input, its
    guess is the highest cell; each further glimpse sees a narrower Gaussian around the guess before
    it, and moves the guess to the mean of what it attends to. What is already marked is inhibited
    in all of them. Read-outs add an offset in x and in y, in units of the narrowest sigma (so that
    steps of the optimizer move it by little), and the done signal: from the step's state, the
    height and the sum of its map, and how many things the first step's map had more than are
    marked.

    Args:
        channels: C of the features.
        width: D, a multiple of ``heads``.
        heads: Attention heads.
        memory_layers: Layers of the working memory.
        num_glimpses: G, at least 1.
        names: Number of named steps; 0 for unnamed ones.
        first_sigma: See :class:`GaussianFoveation`.
        narrowing: See :class:`GaussianFoveation`.
        return_sigma: Initial width of :class:`InhibitionOfReturn`.
        return_strength: Initial depth of :class:`InhibitionOfReturn`.

    Raises:
        ValueError: Sizes that do not fit.
    """

    def __init__(
        self,
        channels: int,
        width: int = 128,
        heads: int = 4,
        memory_layers: int = 2,
        num_glimpses: int = 4,
        names: int = 0,
        first_sigma: float = 0.2,
        narrowing: float = 0.5,
        return_sigma: float = 0.08,
        return_strength: float = 4.0,
    ) -> None:
        super().__init__()
        if num_glimpses < 1 or width % heads:
            raise ValueError(
                "expected at least one glimpse and a width that is a multiple of heads, got "
                f"num_glimpses={num_glimpses}, width={width}, heads={heads}"
            )
        self.heads = heads
        self.memory = WorkingMemory(channels, width, heads, memory_layers, names)
        self.cell = FourierPositionEncoding(width)
        self.keys_values = nn.Linear(channels, 2 * width)
        self.foveation = GaussianFoveation(first_sigma, narrowing)
        self.inhibition = InhibitionOfReturn(return_sigma, return_strength)
        self.glimpses = nn.ModuleList(Glimpse(width, heads) for _ in range(num_glimpses))
        self.offset_x, self.offset_y = _offset(width), _offset(width)
        self.level = nn.Parameter(torch.tensor(-5.0))  # a sum of 16 over 48 × 48 cells at first
        self.done = nn.Sequential(nn.Linear(width + 3, width), nn.GELU(), nn.Linear(width, 1))

    @property
    def narrowest_sigma(self) -> float:
        """Sigma of the last glimpse, in normalised coords."""
        return self.foveation.sigma(max(1, len(self.glimpses) - 1))

    def scene(self, features: Tensor) -> Scene:
        """Compute keys and values, once an image."""
        coords = cell_centers(features)
        keys, values = self.keys_values(features.flatten(2).transpose(1, 2)).chunk(2, dim=-1)
        keys = keys + self.cell(coords)
        return Scene(
            features, coords, split_heads(keys, self.heads), split_heads(values, self.heads)
        )

    def forward(self, features: Tensor, points: Tensor, valid: Tensor) -> Steps:
        """All N + 1 steps at once, step n knowing the first n of the points.

        Args:
            features: (B, C, H, W).
            points: (B, N, 2) given points.
            valid: (B, N), 0 for points that are missing.
        """
        scene = self.scene(features)
        state = self.memory(features, points, valid)
        glimpsed = self.glimpse(scene, state, self.inhibition(points, valid, scene.coords))
        return self.read(glimpsed, torch.arange(state.shape[1], device=state.device))

    def first(self, scene: Scene) -> tuple[Steps, Memory]:
        """The first step, which knows no points."""
        images = len(scene.keys)
        start = self.memory.start.expand(images, 1, -1)
        nothing = torch.zeros(images, 1, len(scene.coords), device=start.device)
        memory = Memory([None] * len(self.memory.layers), nothing, 0, None)
        return self._advance(scene, start, memory)

    def next(
        self, scene: Scene, memory: Memory, point: Tensor, valid: Tensor
    ) -> tuple[Steps, Memory]:
        """The step after a further point (B, 1, 2), valid (B, 1)."""
        token = self.memory.tokens(scene.features, point, valid)
        suppressed = memory.inhibition + self.inhibition.suppression(point, valid, scene.coords)
        return self._advance(scene, token, replace(memory, inhibition=suppressed))

    @torch.no_grad()
    def greedy_peaks(self, features: Tensor, number: int) -> Tensor:
        """The highest cells of the first step's map, each inhibiting the next, (B, number, 2).

        They are near the points of inference, for the price of one step.

        Source: Koch and Ullman, 1985, https://doi.org/10.1007/978-94-009-3833-5_5 (winner takes
        all).
        """
        scene = self.scene(features)
        first, _ = self.first(scene)
        left, valid = first.attention, torch.ones_like(first.done_logits)
        coords = []
        for _ in range(number):
            coords.append(scene.coords[left.argmax(dim=-1)])
            left = left + self.inhibition.suppression(coords[-1], valid, scene.coords)
        return torch.cat(coords, dim=1)

    def _advance(self, scene: Scene, token: Tensor, memory: Memory) -> tuple[Steps, Memory]:
        state, caches = self.memory.step(token, memory.number, memory.caches)
        glimpsed = self.glimpse(scene, state, memory.inhibition)
        steps = self.read(glimpsed, memory.number, memory.total)
        total = steps.count_left if memory.total is None else memory.total
        return steps, Memory(caches, memory.inhibition, memory.number + 1, total)

    def glimpse(self, scene: Scene, state: Tensor, inhibition: Tensor) -> Glimpsed:
        """All glimpses of steps that know ``state`` (B, S, D) and ``inhibition`` (B, S, T).

        Of the result, the attention is that of the first glimpse, all else of the last.
        """
        first = self.glimpses[0](state, scene, inhibition + self.level)
        guess, state = scene.coords[first.attention.argmax(dim=-1)], first.state
        for number, glimpse in enumerate(self.glimpses[1:], start=1):
            bias = inhibition + self.foveation(guess.detach(), scene.coords, number)
            state, _, guess = glimpse(state, scene, bias)
        return Glimpsed(state, first.attention, guess)

    def read(self, glimpsed: Glimpsed, marked: Tensor | int, total: Tensor | None = None) -> Steps:
        """Read steps that know ``marked`` points (S,); ``total`` as in :class:`Memory`."""
        state, attention, guess = glimpsed
        offset = torch.cat([self.offset_x(state), self.offset_y(state)], dim=-1).float()
        coords = guess + self.narrowest_sigma * offset
        # done only reads the map, which has a loss of its own
        left = attention.detach().logsumexp(dim=-1)
        if total is None:
            total = left[:, :1].exp()
        more = (total - marked).clamp(-MAX_MORE, MAX_MORE)
        evidence = torch.stack([attention.detach().amax(dim=-1), left, more], dim=-1)
        done = self.done(torch.cat([state, evidence.to(state)], dim=-1))[..., 0]
        return Steps(coords, done.float(), attention)

    def count_near(self, scene: Scene, steps: Steps) -> Tensor:
        """Count the things within twice the narrowest sigma of each step's coords, (B, S)."""
        radius = 2 * self.narrowest_sigma
        near = squared_distances(steps.coords, scene.coords) <= radius**2
        return (steps.attention.exp() * near).sum(dim=-1)


def _offset(width: int) -> nn.Sequential:
    """(..., D) to (..., 1), next to nothing at first, when the map alone points."""
    linear = nn.Linear(width, 1)
    nn.init.normal_(linear.weight, std=1e-2)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(nn.LayerNorm(width), linear)
