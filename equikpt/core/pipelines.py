"""Pipelines whose crops and targets take their codec from the data set: a config names it once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

CROPS = ("TopdownAffineCrop", "TopdownAffine", "WholeImageResize", "BottomupRandomAffine")
"""Transforms that cut or resize an image to the codec's ``input_size``."""
TOPDOWN_CROPS = CROPS[:2]
TARGETS = ("GenerateTarget", "GenerateValTarget")
"""Transforms that encode targets by the codec."""
LOSS_ONLY = (*TARGETS, "MaskUnlabelled")
"""Transforms that only losses need."""
UDP_CODECS = ("UDPHeatmap", "FastUDPHeatmap")
"""Codecs whose crop is the one of UDP (https://arxiv.org/abs/1911.07524)."""

Step = Mapping[str, Any] | Callable


def fill_codec(pipeline: Sequence[Step], codec: Mapping[str, Any] | None) -> list[Any]:
    """Give the crops and targets of a pipeline the codec where they name none of their own.

    Args:
        pipeline: Configs of transforms, or transforms, which stay as they are.
        codec: Its config, with ``input_size`` (width, height) in px; None changes nothing.

    Example:
        >>> steps = [dict(type="TopdownAffineCrop"), dict(type="GenerateTarget")]
        >>> crop, target = fill_codec(steps, dict(type="UDPHeatmap", input_size=(192, 256)))
        >>> crop["input_size"], crop["use_udp"]
        ((192, 256), True)
        >>> target["encoder"]["type"]
        'UDPHeatmap'
    """
    if codec is None:
        return list(pipeline)
    filled: list[Any] = []
    for step in pipeline:
        if isinstance(step, Mapping):
            given: dict[str, Any] = {}
            if step.get("type") in CROPS and "input_size" in codec:
                given["input_size"] = codec["input_size"]
            if step.get("type") in TOPDOWN_CROPS:
                given["use_udp"] = codec.get("type") in UDP_CODECS
            if step.get("type") in TARGETS:
                given["encoder"] = codec
            step = {**given, **step}
        filled.append(step)
    return filled
