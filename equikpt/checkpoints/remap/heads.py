"""Output layers of heads, which count the keypoints: a row a family of heads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

HEAD = "head."
"""Where MMPose's estimators keep their head."""


@dataclass(frozen=True)
class OutputLayer:
    """A part of a head that may be the last one with a channel a keypoint.

    ``weight_dim`` is the dimension of the convolution's weight that counts the keypoints. Of its
    bias, and of a BN layer behind it, that is dimension 0.
    """

    name: str
    weight_dim: int


@dataclass(frozen=True)
class HeadFamily:
    """Heads that keep their keypoints in the same place.

    ``outputs`` are tried in this order: the first that the head has is its output layer, and in a
    sequence of layers the last convolution is. ``by_order`` are tensors that belong to places in
    the list of keypoints rather than to keypoints; in another list they mean nothing.
    """

    outputs: tuple[OutputLayer, ...]
    by_order: tuple[str, ...] = ()


HEADS: dict[str, HeadFamily] = {
    # `final_layer=None` makes the last one of the layers before it the output layer.
    # A transposed convolution's weight is (C, K, k, k).
    "HeatmapHead": HeadFamily(
        (
            OutputLayer("final_layer", 0),
            OutputLayer("conv_layers", 0),
            OutputLayer("deconv_layers", 1),
        )
    ),
    # Behind the output layer, all points share their weights. `gau.w` (2 K - 1) is an attention
    # bias for every distance between two places in the list (`use_rel_bias`).
    "RTMCCHead": HeadFamily((OutputLayer("final_layer", 0),), by_order=("gau.w",)),
}
"""Class of a head, or one that it derives from, to its family."""


def head_family(head: object) -> HeadFamily:
    """The family of a model's head.

    Raises:
        TypeError: No row of :data:`HEADS` describes it.
    """
    for base in type(head).__mro__:
        if base.__name__ in HEADS:
            return HEADS[base.__name__]
    raise TypeError(
        f"expected a head of class {' or '.join(HEADS)}, or one derived from it, got "
        f"{type(head).__name__}: where it keeps its keypoints is not known, so its weights cannot "
        "be remapped; give such a model a checkpoint of its own keypoint set"
    )


def keypoint_dims(model_state: Mapping[str, Tensor], family: HeadFamily) -> dict[str, int]:
    """Map each tensor of the head's output layer to the dimension that counts the keypoints.

    Raises:
        ValueError: The head has none of the family's output layers.
    """
    for output in family.outputs:
        prefix = HEAD + output.name + "."
        index = {name: _index_in_sequence(name, prefix) for name in model_state}
        inside = [name for name in model_state if name.startswith(prefix)]
        convolutions = [index[name] for name in inside if model_state[name].ndim == 4]
        if convolutions:
            last = [name for name in inside if index[name] >= max(convolutions)]
            return {
                name: output.weight_dim if model_state[name].ndim == 4 else 0
                for name in last
                if model_state[name].ndim  # not a BN layer's counter
            }
    names = " or ".join(HEAD + output.name for output in family.outputs)
    raise ValueError(
        f"expected a model with {names}, found none of them among its {len(model_state)} tensors; "
        "give its head an output layer"
    )


def _index_in_sequence(name: str, prefix: str) -> int:
    number = re.match(re.escape(prefix) + r"(\d+)\.", name)
    return int(number[1]) if number else -1
