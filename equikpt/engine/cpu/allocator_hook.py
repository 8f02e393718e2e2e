"""Keep a step's memory for the next step."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from equikpt.core.machine import GIB, memory_bytes, resident_bytes
from equikpt.engine.cpu import allocator


@HOOKS.register_module()
class AllocatorHook(Hook):
    """Stop glibc from handing a training step's memory back to the kernel.

    Nothing is set on another C library, beside another allocator, or where ``MALLOC_*`` or
    ``GLIBC_TUNABLES`` are set already. Resident memory is logged as ``resident_gib``; where less
    than ``min_free`` of the machine's memory is left after an epoch, what is free goes back.

    Args:
        enabled: Off with ``default_hooks.allocator.enabled=False``.
        min_free: Fraction of the memory that this process may use, from 0 to 1.

    Raises:
        ValueError: ``min_free`` out of range.
    """

    priority = "VERY_HIGH"  # before other hooks copy the model

    def __init__(self, enabled: bool = True, min_free: float = 0.1) -> None:
        if not 0 <= min_free < 1:
            raise ValueError(
                f"expected min_free as a fraction of the memory, at least 0 and below 1, got "
                f"{min_free}; 0.1 hands memory back when less than a tenth is free"
            )
        self.enabled = enabled
        self.min_free = min_free
        self._keeps = False

    def before_run(self, runner: Runner) -> None:
        """Set the allocator, once a process, and say so."""
        obstacle = "switched off" if not self.enabled else allocator.unsupported_reason()
        if obstacle is None:
            allocator.disable_malloc_trim()
            self._keeps = True
        runner.logger.info(
            "Allocator: "
            + ("freed memory is kept for the next step" if self._keeps else f"as it is, {obstacle}")
        )

    def after_train_epoch(self, runner: Runner) -> None:
        """Log resident memory, and hand back what is free where memory runs short."""
        self._hand_back_if_short(runner)
        runner.message_hub.update_scalar("train/resident_gib", resident_bytes() / GIB)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Validation has blocks of other sizes than training."""
        self._hand_back_if_short(runner)

    def _hand_back_if_short(self, runner: Runner) -> None:
        if not self._keeps:
            return
        free, total = memory_bytes()
        if free >= self.min_free * total:
            return
        before = resident_bytes()
        allocator.release_freed_memory()
        runner.logger.warning(
            f"{free / GIB:.1f} of {total / GIB:.1f} GiB of memory were free: handed back "
            f"{(before - resident_bytes()) / GIB:.1f} GiB"
        )
