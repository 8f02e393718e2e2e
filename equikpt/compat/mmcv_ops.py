"""A stand-in for ``mmcv._ext``, the compiled half of mmcv.

The Python files of ``mmcv.ops`` import that half at once, so without it not even
``import mmpose.models`` works (https://github.com/open-mmlab/mmcv/issues/204 and hundreds like
it). The operators that torchvision or plain torch can compute are computed there, on any device
and any torch. The rest fails only when called, with the way to a compiled mmcv.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from importlib.machinery import ModuleSpec

from equikpt.compat.mmcv_ext import (
    boxes,
    deform_attention,
    deform_conv,
    roi_align,
    sigmoid_focal_loss,
)

NAME = "mmcv._ext"

OPERATORS: tuple[Callable, ...] = (
    boxes.bbox_overlaps,
    boxes.nms,
    boxes.nms_match,
    boxes.softnms,
    deform_attention.ms_deform_attn_backward,
    deform_attention.ms_deform_attn_forward,
    deform_conv.deform_conv_backward_input,
    deform_conv.deform_conv_backward_parameters,
    deform_conv.deform_conv_forward,
    deform_conv.modulated_deform_conv_backward,
    deform_conv.modulated_deform_conv_forward,
    roi_align.roi_align_backward,
    roi_align.roi_align_forward,
    sigmoid_focal_loss.sigmoid_focal_loss_backward,
    sigmoid_focal_loss.sigmoid_focal_loss_forward,
)
"""What the stand-in computes, each under its own name."""


class StandInLoader:
    """Marks the stand-in, and lets ``find_spec`` and ``find_loader`` find it as they find a file.

    MMEngine asks them whether deformable convolutions exist.
    """

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        """The stand-in as a module, not yet filled."""
        return types.ModuleType(spec.name, __doc__)

    def exec_module(self, module: types.ModuleType) -> None:
        """Fill ``module`` with the operators."""
        for operator in OPERATORS:
            setattr(module, operator.__name__, operator)
        # the words that mmcv's own report uses where nothing was compiled
        module.get_compiler_version = lambda: "n/a"  # type: ignore[attr-defined]
        module.get_compiling_cuda_version = lambda: "n/a"  # type: ignore[attr-defined]
        # asked for any other name: mmcv looks all of them up while it is imported
        module.__getattr__ = _unsupported  # type: ignore[method-assign]


def build_ext() -> types.ModuleType:
    """A new stand-in module, not yet in ``sys.modules``."""
    loader = StandInLoader()
    spec = ModuleSpec(NAME, loader)  # type: ignore[arg-type]
    module = loader.create_module(spec)
    module.__spec__, module.__loader__ = spec, loader  # type: ignore[assignment]
    loader.exec_module(module)
    return module


def is_stand_in(module: types.ModuleType) -> bool:
    """Whether ``module`` came from :func:`build_ext`."""
    return isinstance(getattr(module, "__loader__", None), StandInLoader)


def compile_command() -> str:
    """What builds the operators of the mmcv that is installed: the fork's, or the official one."""
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
    """A function that fails when called, for any name but Python's own double-underscore ones."""
    if name.startswith("__"):
        raise AttributeError(f"module {NAME!r} has no attribute {name!r}")

    def unsupported(*args, **kwargs):
        raise NotImplementedError(
            f"mmcv's operator {name!r} needs a compiled mmcv, and the one installed has no compiled"
            f" operators: build it for your torch with `{compile_command()}` (needs a C++ compiler"
            " and, for a GPU, the CUDA toolkit; takes 10 to 60 minutes), or choose a model without"
            " this operator"
        )

    unsupported.__name__ = unsupported.__qualname__ = name
    return unsupported
