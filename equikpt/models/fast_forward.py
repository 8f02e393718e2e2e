"""Forward passes of models that only predict: folded batch norms, memory layout, precision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_weights

from equikpt.core.machine import cpu_computes_bfloat16

PRECISIONS = dict(float32=None, bfloat16=torch.bfloat16, float16=torch.float16)
PROBE_PX = 128
TOLERANCE = 1e-3
"""Fraction of a map's largest value by which folding may change it; rounding: a few millionths."""


def choose_precision(name: str, device: str | torch.device) -> str:
    """Name what backbone and neck compute in: ``float32``, ``bfloat16`` or ``float16``.

    Args:
        name: One of these, or ``auto``: float16 on an NVIDIA GPU, bfloat16 on a CPU that has
            instructions for it, else float32.
        device: Torch's name of where to compute.

    Raises:
        ValueError: Another name, or a precision that the device only emulates.
    """
    kind = torch.device(device).type
    fastest = "float16" if kind == "cuda" else "float32"
    if kind == "cpu" and cpu_computes_bfloat16():
        fastest = "bfloat16"
    if name == "auto":
        return fastest
    if name not in PRECISIONS:
        raise ValueError(f"expected precision auto or one of {', '.join(PRECISIONS)}, got {name!r}")
    if name not in ("float32", fastest) and kind != "cuda":
        raise ValueError(
            f"expected precision auto, or one that this {kind} computes fast (float32"
            f"{'' if fastest == 'float32' else ', ' + fastest}), got {name}"
        )
    return name


def speed_up(model: Any, precision: str) -> None:
    """Make a pose estimator predict faster, in place; it cannot be trained or saved any more.

    Batch norms are folded into the convolutions before them (:func:`fold_batch_norms`) and
    convolutions run in channels_last, which changes results by rounding alone. Backbone and neck
    compute in ``precision`` of :func:`choose_precision`; the head, and with it the decoding, stays
    in float32.

    Args:
        model: With ``backbone``, ``head`` and perhaps ``neck``, where it is to compute.
        precision: Not ``auto``.
    """
    model.eval()
    fold_batch_norms(model.backbone)
    model.to(memory_format=torch.channels_last)
    dtype = PRECISIONS[precision]
    for part in (model.backbone, getattr(model, "neck", None)):
        if dtype is not None and part is not None:
            part.forward = _autocast(part.forward, dtype)


def _autocast(forward: Any, dtype: torch.dtype) -> Any:
    """Wrap a forward pass so that it computes in ``dtype`` and gives float32."""

    def reduced(maps: Any) -> Any:
        kind = (maps if isinstance(maps, Tensor) else maps[0]).device.type
        with torch.autocast(kind, dtype):
            return to_float32(forward(maps))

    return reduced


def to_float32(outputs: Any) -> Any:
    """Convert the tensors of a model's output, also of tuples and lists; others stay."""
    if isinstance(outputs, Tensor):
        return outputs.float() if outputs.is_floating_point() else outputs
    if isinstance(outputs, (tuple, list)):
        return type(outputs)(to_float32(output) for output in outputs)
    return outputs


@torch.no_grad()
def fold_batch_norms(backbone: nn.Module) -> int:
    """Fold each batch norm into the convolution that is registered before it; return their number.

    The order of modules need not be that of computing, so that the maps of noise are compared
    before and after: where they differ, or the backbone takes no images of ``PROBE_PX``, all stays
    as it was.

    Args:
        backbone: In eval mode; takes (B, 3, H, W), gives maps.
    """
    pairs = list(_pairs(backbone))
    if not pairs:
        return 0
    like = next(backbone.parameters())
    noise = torch.randn((1, 3, PROBE_PX, PROBE_PX), generator=torch.Generator().manual_seed(0))
    noise = noise.to(like)
    try:
        expected = backbone(noise)
    except (RuntimeError, AssertionError):  # one of fixed size
        return 0
    before = [(conv, conv.weight, conv.bias) for conv, *_ in pairs]
    for conv, parent, name, norm in pairs:
        weight, bias = fuse_conv_bn_weights(
            *(conv.weight, conv.bias, norm.running_mean, norm.running_var),
            *(norm.eps, norm.weight, norm.bias),
        )
        del conv.bias
        conv.weight = nn.Parameter(weight, requires_grad=conv.weight.requires_grad)
        conv.register_buffer("bias", bias.detach())  # stages of backbones know their parameters
        setattr(parent, name, getattr(norm, "act", nn.Identity()))
    if _agree(backbone(noise), expected):
        return len(pairs)
    for (conv, weight, bias), (_, parent, name, norm) in zip(before, pairs, strict=True):
        del conv.bias
        conv.weight = weight
        conv.register_parameter("bias", bias)
        setattr(parent, name, norm)
    return 0


def _pairs(backbone: nn.Module) -> Iterator[tuple[Any, nn.Module, str, Any]]:
    """Convolutions with the parent, name and module of the batch norm registered after them."""
    for parent in backbone.modules():
        last: nn.Module | None = None
        for name, child in parent.named_children():
            known = type(child) in (nn.BatchNorm2d, nn.SyncBatchNorm) or (
                # timm's, whose activation stays
                type(child).__name__ == "BatchNormAct2d" and isinstance(child.drop, nn.Identity)
            )
            if known and isinstance(last, nn.Conv2d) and last.out_channels == child.num_features:
                yield last, parent, name, child
            last = child


def _agree(found: Any, expected: Any) -> bool:
    """Tell if maps, one or several, are the same up to rounding."""
    if isinstance(expected, Tensor):
        return bool((found - expected).abs().max() <= TOLERANCE * expected.abs().max())
    return all(_agree(*both) for both in zip(found, expected, strict=True))
