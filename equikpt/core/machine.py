"""Cores and memory that this process may use, which in a container is less than there is."""

from __future__ import annotations

import math
import os
import platform
from pathlib import Path

GIB = 2**30
MAX_MEGAPIXELS_VARIABLE = "EQUIKPT_MAX_MEGAPIXELS"
"""Environment variable with the size of the largest image that is read."""
CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = CGROUP) -> int:
    """Count cores by affinity and by the container's quota, at least 1."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    quota, _, period = _read(cgroup / "cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        cores = min(cores, max(1, math.ceil(int(quota) / int(period))))
    return cores


def memory_bytes(cgroup: Path = CGROUP) -> tuple[int, int]:
    """Return free and total bytes of main memory, or of the container's part of it."""
    import psutil  # the command line imports this module, and the doctor runs without libraries

    memory = psutil.virtual_memory()
    free, total = memory.available, memory.total
    limit, used = _read(cgroup / "memory.max"), _read(cgroup / "memory.current")
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
    for line in _read(cpuinfo).splitlines():
        name, _, model = line.partition(":")
        if name.strip() == "model name":
            return model.strip()
    return platform.processor() or platform.machine()


def _read(path: Path) -> str:
    """Content of a small file of the system, empty where there is none."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def cpu_computes_bfloat16() -> bool:
    """Tell if oneDNN has kernels for bfloat16 on this CPU, rather than loops that emulate it."""
    import torch

    return bool(
        torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )
