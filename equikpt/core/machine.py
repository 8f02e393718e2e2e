"""Cores and memory that this process may use, which in a container is less than there is."""

from __future__ import annotations

import platform
from pathlib import Path

from equikpt_runtime.machine import CGROUP, read_text

GIB = 2**30
MAX_MEGAPIXELS_VARIABLE = "EQUIKPT_MAX_MEGAPIXELS"
"""Environment variable with the size of the largest image that is read."""


def memory_bytes(cgroup: Path = CGROUP) -> tuple[int, int]:
    """Return free and total bytes of main memory, or of the container's part of it."""
    import psutil  # the command line imports this module, and the doctor runs without libraries

    memory = psutil.virtual_memory()
    free, total = memory.available, memory.total
    limit, used = read_text(cgroup / "memory.max"), read_text(cgroup / "memory.current")
    if limit.isdigit() and used.isdigit():
        total = min(total, int(limit))
        free = min(free, max(0, int(limit) - int(used)))
    return free, total


def resident_bytes() -> int:
    """Return the memory that this process holds now."""
    import psutil

    return psutil.Process().memory_info().rss


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name as the system gives it."""
    for line in read_text(cpuinfo).splitlines():
        name, _, model = line.partition(":")
        if name.strip() == "model name":
            return model.strip()
    return platform.processor() or platform.machine()


def cpu_computes_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Tell if this CPU has instructions for bfloat16, rather than emulates it.

    oneDNN has kernels for AVX-512 without such instructions as well, which are slower than those of
    float32 (a training step of EfficientNet-Lite0: 1.6 instead of 0.8 s).
    """
    import torch

    if not torch.backends.mkldnn.is_available():
        return False
    flags = next((line for line in read_text(cpuinfo).splitlines() if line[:5] == "flags"), None)
    if flags is not None and not {"avx512_bf16", "amx_bf16"} & set(flags.split()):
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
