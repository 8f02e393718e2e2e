"""What this process may use of the machine, which in a container is less than there is."""

from __future__ import annotations

import math
import os
import platform
import sys
from pathlib import Path

GIB = 2**30
MAX_MEGAPIXELS_VARIABLE = "EQUIKPT_MAX_MEGAPIXELS"
"""Environment variable with the size of the largest image that is read."""
CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = CGROUP) -> int:
    """Cores by affinity and by the container's quota, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota, _, period = _read(cgroup / "cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        cores = min(cores, max(1, math.ceil(int(quota) / int(period))))
    return cores


def memory_bytes(cgroup: Path = CGROUP, meminfo: Path = Path("/proc/meminfo")) -> tuple[int, int]:
    """Free and total bytes of main memory, or of the container's share of it.

    Raises:
        OSError: The system tells neither by /proc nor by sysconf.
    """
    kibibytes = {}
    for line in _read(meminfo).splitlines():
        name, _, rest = line.partition(":")
        kibibytes[name] = int(rest.split()[0])
    if "MemTotal" in kibibytes:
        total = kibibytes["MemTotal"] * 1024
        free = kibibytes.get("MemAvailable", kibibytes.get("MemFree", 0)) * 1024
    else:  # macOS: no figure for what is free
        total = free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit, used = _read(cgroup / "memory.max"), _read(cgroup / "memory.current")
    if limit.isdigit() and used.isdigit():
        total = min(total, int(limit))
        free = min(free, max(0, int(limit) - int(used)))
    return free, total


def resident_bytes(statm: Path = Path("/proc/self/statm")) -> int:
    """Memory that this process holds now; where the system tells no such figure, its maximum."""
    fields = _read(statm).split()
    if len(fields) > 1:
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # macOS gives bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name as the system gives it."""
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
    """Whether oneDNN has kernels for bfloat16 on this CPU, rather than loops that emulate it."""
    import torch

    return bool(
        torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )
