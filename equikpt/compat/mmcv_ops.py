"""A stand-in for ``mmcv._ext``, the compiled half of mmcv.

Without that half not even ``import mmpose.models`` works
(https://github.com/open-mmlab/mmcv/issues/204). torchvision computes what inference needs:
non-maximum suppression (RTMDet), RoIAlign (Faster R-CNN) and deformable convolution (MMPose's DEKR
head). The rest fails only when called, with the way to a compiled mmcv.

Operators have the names, arguments and conventions of their twins in ``mmcv._ext``: results go into
the tensors that the caller hands over, unless mmcv expects a return value.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from typing import Any

import torch
from torch import Tensor
from torchvision import ops

NAME = "mmcv._ext"

AVERAGE = 1
"""Number that mmcv gives to the pool mode of :func:`roi_align_forward` that is computed here."""


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Select the boxes that no better box overlaps.

    Args:
        boxes: (N, 4), x1, y1, x2, y2 in px.
        scores: (N,).
        iou_threshold: A box is dropped where its overlap with a better one is above this.
        offset: 0, or 1 for the older convention in which a box is ``x2 - x1 + 1`` wide.

    Returns:
        (M,) indices by falling score.
    """
    boxes = boxes.detach().to(torch.promote_types(boxes.dtype, torch.float32))
    if offset:  # "+ 1" on both sides of every formula is the same as moving the far corner
        boxes = boxes + boxes.new_tensor([0, 0, offset, offset])
    # rounded as the overlaps are, so that 1/10 is not above 0.1
    threshold = boxes.new_tensor(iou_threshold).item()
    return ops.nms(boxes, scores.detach().to(boxes.dtype), threshold)


def roi_align_forward(
    input: Tensor, rois: Tensor, output: Tensor, argmax_y: Tensor, argmax_x: Tensor, **options: Any
) -> None:
    """Average regions (R, 5) of feature maps (B, C, H, W) into ``output`` (R, C, PH, PW).

    Raises:
        NotImplementedError: The options ask for maxima instead of averages.
    """
    if options["pool_mode"] != AVERAGE:
        _unsupported("roi_align_forward of maxima")()
    size = (options["aligned_height"], options["aligned_width"])
    options = {name: options[name] for name in ("spatial_scale", "sampling_ratio", "aligned")}
    output.copy_(ops.roi_align(input, rois.to(input.dtype), size, **options))


def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    **geometry: int,
) -> None:
    """Convolve ``input`` (B, C, H, W) at moved positions into ``output`` (B, C_out, OH, OW).

    ``offset`` (B, 2 * G * KH * KW, OH, OW) is (dy, dx) in cells for each position of the kernel and
    each of G offset groups. ``columns`` and ``ones`` are scratch space of mmcv's kernels.
    """
    pairs = {
        name: (geometry[f"{short}H"], geometry[f"{short}W"])
        for name, short in (("stride", "d"), ("padding", "pad"), ("dilation", "dilation"))
    }
    output.copy_(ops.deform_conv2d(input, offset, weight, **pairs))


OPERATORS: tuple[Callable, ...] = (nms, roi_align_forward, deform_conv_forward)
"""Operators that the stand-in computes, each under its own name."""


class StandInLoader:
    """Mark the stand-in, and let ``find_spec`` and ``find_loader`` find it as they find a file.

    MMEngine asks them whether deformable convolutions exist.
    """


def build_ext() -> types.ModuleType:
    """Make a stand-in module, not yet in ``sys.modules``."""
    module = types.ModuleType(NAME, __doc__)
    module.__spec__ = ModuleSpec(NAME, StandInLoader())  # type: ignore[arg-type]
    module.__loader__ = module.__spec__.loader
    vars(module).update({operator.__name__: operator for operator in OPERATORS})
    # the words that mmcv's own report uses where nothing was compiled
    vars(module).update(
        get_compiler_version=lambda: "n/a", get_compiling_cuda_version=lambda: "n/a"
    )
    # asked for any other name: mmcv looks all of them up while it is imported
    vars(module)["__getattr__"] = _unsupported
    return module


def is_stand_in(module: types.ModuleType) -> bool:
    """Tell if ``module`` came from :func:`build_ext`."""
    return isinstance(getattr(module, "__loader__", None), StandInLoader)


def _compile_command() -> str:
    """The command that builds the operators of the installed mmcv, fork or official."""
    import mmcv
    from mmengine.utils import digit_version

    if digit_version(mmcv.__version__) >= digit_version("2.3"):  # where the fork took over
        return (
            "pip install --force-reinstall --no-deps --no-build-isolation"
            f" --no-binary onedl-mmcv onedl-mmcv=={mmcv.__version__}"
        )
    return (
        "pip uninstall --yes mmcv-lite && MMCV_WITH_OPS=1 pip install --no-deps"
        f" --no-build-isolation --no-binary mmcv mmcv=={mmcv.__version__}"
    )


def _unsupported(name: str) -> Callable:
    """Make a function that fails when called, for all names but Python's double-underscore ones."""
    if name.startswith("__"):
        raise AttributeError(f"module {NAME!r} has no attribute {name!r}")

    def unsupported(*args, **kwargs):
        raise NotImplementedError(
            f"mmcv's operator {name!r} needs a compiled mmcv, and the one installed has no compiled"
            f" operators: build it for your torch with `{_compile_command()}` (needs a C++ compiler"
            " and, for a GPU, the CUDA toolkit; takes 10 to 60 minutes), or choose a model without"
            " this operator"
        )

    unsupported.__name__ = unsupported.__qualname__ = name
    return unsupported
