"""The sequence of a sequential attention head as a loop inside the graph (ONNX ``Loop``).

Letters: N images, P maximum of points, T cells of the feature map, D width, L layers of the memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._higher_order_ops.while_loop import while_loop
from torch.nn.functional import scaled_dot_product_attention

from equikpt.models.sequential_attention import Scene, SequentialAttention
from equikpt.models.sequential_attention_head import SequentialAttentionHead
from equikpt.models.step_targets import ending
from equikpt.models.working_memory import CausalLayer, split_heads
from equikpt.structures.uncertainty import MOST_OVER


class Sequence(NamedTuple):
    """Outputs of S steps, P + 1 of any number of things or P of named ones.

    Of steps that no image needed coords are NaN, scores 0 and ``over`` is 1.
    """

    coords: Tensor
    """(N, S, 2) normalised."""
    scores: Tensor
    """(N, S)."""
    over: Tensor
    """(N, S) probability that the sequence is over."""


class State(NamedTuple):
    """Values that the loop carries from step to step; shapes stay the same."""

    number: Tensor
    """() int64: steps done."""
    coords: Tensor
    scores: Tensor
    over: Tensor
    point: Tensor
    """(N, 1, 2): coords of the step before."""
    going: Tensor
    """(N, 1): probability that the sequence is not over."""
    total: Tensor
    """(N, 1): count of the things that the first step saw."""
    inhibition: Tensor
    """(N, 1, T)."""
    keys: Tensor
    """(L, N, heads, S, D / heads) of the steps so far, and zeros."""
    values: Tensor


def sequence(head: SequentialAttentionHead, feats: Any) -> Sequence:
    """As the head's ``forward``, with steps of one shape in a loop that a file can hold."""
    attention = head.attention
    scene = attention.scene(feats[-1])
    enough = max(head.done_threshold, MOST_OVER)
    steps = head.max_points + (not head.named)

    def goes_on(*parts: Tensor) -> Tensor:
        state = State(*parts)
        unfinished = state.number < steps
        return unfinished if head.named else unfinished & (1 - state.going < enough).any()

    def step(*parts: Tensor) -> State:
        return _step(head, scene, State(*parts))

    state = _start(attention, scene, steps)
    if torch.compiler.is_exporting():
        state = State(*while_loop(goes_on, step, state))
    while not torch.compiler.is_exporting() and goes_on(*state):
        state = step(*state)
    return Sequence(state.coords, state.scores, state.over)


def _start(attention: SequentialAttention, scene: Scene, steps: int) -> State:
    images, heads, cells, width = scene.keys.shape
    make = scene.keys.new_zeros
    layers = len(attention.memory.layers)
    return State(
        number=torch.zeros((), dtype=torch.int64),
        coords=make(images, steps, 2) + torch.nan,
        scores=make(images, steps),
        over=make(images, steps) + 1,
        point=make(images, 1, 2),
        going=make(images, 1) + 1,
        total=make(images, 1),
        inhibition=make(images, 1, cells),
        keys=make(layers, images, heads, steps, width),
        values=make(layers, images, heads, steps, width),
    )


def _step(head: SequentialAttentionHead, scene: Scene, state: State) -> State:
    attention, memory = head.attention, head.attention.memory
    later = (state.number > 0).float()
    valid = later.expand(len(state.point), 1)
    token = memory.tokens(scene.features, state.point, valid) + (1 - later) * memory.start
    if memory.names is not None:
        token = token + memory.names.index_select(0, state.number[None])
    now = torch.arange(state.keys.shape[3]) == state.number
    past = torch.arange(state.keys.shape[3]) <= state.number
    keys, values = [], []
    layers: Any = memory.layers
    for layer, old_keys, old_values in zip(layers, state.keys, state.values, strict=True):
        token, key, value = _attend(layer, token, old_keys, old_values, now, past)
        keys.append(key)
        values.append(value)
    seen = attention.inhibition.suppression(state.point, valid, scene.coords)
    inhibition = state.inhibition + seen
    glimpsed = attention.glimpse(scene, token, inhibition)
    left = glimpsed.attention.logsumexp(dim=-1).exp()
    total = torch.where(state.number > 0, state.total, left)
    read = attention.read(glimpsed, state.number, total)
    going = state.going * (1 - ending(read.done_logits, total, head.done_balance))
    scores = attention.count_near(scene, read).clamp_max(1)
    return State(
        number=state.number + 1,
        coords=torch.where(now[:, None], read.coords, state.coords),
        scores=torch.where(now, scores, state.scores),
        over=torch.where(now, 1 - going, state.over),
        point=read.coords,
        going=going,
        total=total,
        inhibition=inhibition,
        keys=torch.stack(keys),
        values=torch.stack(values),
    )


def _attend(
    layer: CausalLayer, token: Tensor, keys: Tensor, values: Tensor, now: Tensor, past: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """As the layer's ``forward`` with a cache, which has room for all steps here.

    Args:
        layer: Of the memory.
        token: (N, 1, D) of this step.
        keys: (N, heads, S, D / heads).
        values: Likewise.
        now: (S,) True at this step.
        past: (S,) True up to this step.
    """
    query, key, value = (
        split_heads(part, layer.heads) for part in layer.project(layer.norm(token)).chunk(3, dim=-1)
    )
    keys, values = (
        torch.where(now[:, None], new, old) for new, old in ((key, keys), (value, values))
    )
    attended = scaled_dot_product_attention(query, keys, values, attn_mask=past[None])
    token = token + layer.merge(attended.transpose(1, 2).flatten(-2))
    return token + layer.feed_forward(token), keys, values
