"""Mixed precision wherever the run happens: float16 with a scaler on a GPU, bfloat16 on a CPU."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from mmengine.config import Config
from mmengine.device import is_cuda_available
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmpose.models.heads import BaseHead
from mmpose.registry import OPTIM_WRAPPERS
from torch import nn

from equikpt.core import machine
from equikpt.models.fast_forward import to_float32

STOCK_WRAPPERS = ("OptimWrapper", "AmpOptimWrapper", "CpuAmpOptimWrapper")


@OPTIM_WRAPPERS.register_module()
class CpuAmpOptimWrapper(OptimWrapper):
    """Forward in bfloat16 autocast on the CPU; weights, gradients and steps stay float32.

    MMEngine's ``AmpOptimWrapper`` asserts a GPU. bfloat16 has float32's range, so no loss scaling
    is needed, and its checkpoints load in a float32 run and the other way round.

    A CPU without AVX-512 or the like only emulates bfloat16, about 20 times slower than float32
    (EfficientNet-Lite0, AVX2). There the forward pass stays in float32, and the log says so.

    Args:
        dtype: ``"bfloat16"``; CPUs compute float16 slowly, and it would need a scaler.
        emulate: Compute in bfloat16 on such a CPU too.
        **kwargs: Options of ``OptimWrapper``.

    Raises:
        ValueError: Another ``dtype``.
    """

    def __init__(self, dtype: str = "bfloat16", emulate: bool = False, **kwargs) -> None:
        if dtype != "bfloat16":
            raise ValueError(
                f"expected dtype 'bfloat16' for mixed precision on a CPU, got {dtype!r}; "
                "remove the key, or train in float32 by OptimWrapper"
            )
        super().__init__(**kwargs)
        self.reduces_precision = emulate or machine.cpu_computes_bfloat16()
        if not self.reduces_precision:
            print_log(
                "This CPU only emulates bfloat16, many times slower than float32: training in "
                "float32 (optim_wrapper.emulate=True insists)",
                logger="current",
                level=logging.WARNING,
            )

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast around the forward pass, inside MMEngine's own context (no_sync under DDP)."""
        with ExitStack() as stack:
            stack.enter_context(super().optim_context(model))
            if self.reduces_precision:
                stack.enter_context(torch.autocast("cpu", dtype=torch.bfloat16))
                for module in model.modules():
                    if isinstance(module, BaseHead):
                        stack.enter_context(_float32_outputs(module))
            yield

    def load_state_dict(self, state_dict: dict) -> None:
        """Load an optimizer state, also one that a GPU run wrote with its loss scaler."""
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "loss_scaler"})


@contextmanager
def _float32_outputs(head: BaseHead) -> Iterator[None]:
    """Let a head hand out float32, for its losses and for the accuracy that it logs.

    CPU autocast leaves ``log_softmax`` in bfloat16 (on a GPU it is float32), and heads turn their
    outputs into numpy arrays, which know no bfloat16. ``BaseHead.loss`` calls ``self.forward``
    directly, so a forward hook would not fire.
    """
    forward = head.forward

    def forward_float32(*args, **kwargs):
        return to_float32(forward(*args, **kwargs))

    head.forward = forward_float32
    try:
        yield
    finally:
        del head.forward  # the method of the class shows again


def enable_amp(cfg: Config) -> None:
    """Switch ``cfg.optim_wrapper`` to mixed precision for the device at hand.

    Raises:
        ValueError: The config uses an optimizer wrapper of its own.
    """
    wrapper = cfg.optim_wrapper.get("type", "OptimWrapper")
    name = wrapper if isinstance(wrapper, str) else wrapper.__name__
    if name not in STOCK_WRAPPERS:
        raise ValueError(
            f"expected optim_wrapper.type to be one of {', '.join(STOCK_WRAPPERS)} for mixed "
            f"precision, got {name}; set its own precision option instead"
        )
    if is_cuda_available():
        cfg.optim_wrapper.type = "AmpOptimWrapper"
        cfg.optim_wrapper.setdefault("loss_scale", "dynamic")
    else:
        cfg.optim_wrapper.type = "CpuAmpOptimWrapper"
        cfg.optim_wrapper.pop("loss_scale", None)
