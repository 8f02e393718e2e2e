"""Cores that this process may use, which in a container are less than there are."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
TOPOLOGY = Path("/sys/devices/system/cpu")


def usable_cores(cgroup: Path = CGROUP) -> int:
    """Count cores by affinity and by the container's quota, at least 1."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    quota, _, period = read_text(cgroup / "cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        cores = min(cores, max(1, math.ceil(int(quota) / int(period))))
    return cores


def physical_cores(cgroup: Path = CGROUP, topology: Path = TOPOLOGY) -> int:
    """Count cores as :func:`usable_cores`, two threads of one core as one where the system says."""
    cores = usable_cores(cgroup)
    if not hasattr(os, "sched_getaffinity"):
        return cores
    names = "thread_siblings_list"
    siblings = {
        read_text(topology / f"cpu{cpu}" / "topology" / names) for cpu in os.sched_getaffinity(0)
    }
    return min(cores, len(siblings)) if "" not in siblings else cores


def read_text(path: Path) -> str:
    """Content of a small file of the system, empty where there is none."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
