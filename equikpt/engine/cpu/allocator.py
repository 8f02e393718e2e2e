"""The C library's allocator, told to keep the memory that a training step frees.

glibc maps every block above 32 MB anew and hands the top of its heap back to the kernel when it is
freed (https://man7.org/linux/man-pages/man3/mallopt.3.html). A training step frees and asks for
the same gigabytes again, and the kernel clears each page again.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # <malloc.h>
TOP_PAD_BYTES = 64 * 2**20
OTHER_ALLOCATORS = ("jemalloc", "tcmalloc", "mimalloc", "hoard")


def unsupported_reason(
    environ: Mapping[str, str] = os.environ, maps: Path = Path("/proc/self/maps")
) -> str | None:
    """Name what keeps glibc's allocator from being set here, or None where nothing does.

    Settings of the user stay in charge: an allocator that replaces glibc's, ``MALLOC_*`` variables
    and ``GLIBC_TUNABLES``.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return "the C library is not glibc"
    if any(name.startswith("MALLOC_") and name.endswith("_") for name in environ):
        return "a MALLOC_* variable is set"
    if "glibc.malloc." in environ.get("GLIBC_TUNABLES", ""):
        return "GLIBC_TUNABLES sets the allocator"
    try:
        loaded = maps.read_text(encoding="utf-8", errors="replace")
    except OSError:
        loaded = ""
    for other in OTHER_ALLOCATORS:
        if f"lib{other}" in loaded:
            return f"{other} replaces it"
    return None


def disable_malloc_trim() -> None:
    """Take blocks of any size from the heap, and never hand its top back by itself.

    Holds for this process and for what it forks from now on (loader workers). Resident memory then
    stays at its highest need so far; :func:`release_freed_memory` hands back what is free.

    Raises:
        OSError: The C library refuses.
    """
    libc = ctypes.CDLL(None)
    # -1 is the largest threshold there is: the value becomes a size_t
    for parameter, value in (
        (M_MMAP_MAX, 0),
        (M_TRIM_THRESHOLD, -1),
        (M_TOP_PAD, TOP_PAD_BYTES),
    ):
        if not libc.mallopt(parameter, value):
            raise OSError(
                f"expected glibc to take mallopt({parameter}, {value}), it refused; switch the "
                "setting off with default_hooks.allocator.enabled=False"
            )


def release_freed_memory() -> None:
    """Hand free pages back to the kernel, wherever in the heap they lie (``malloc_trim``)."""
    ctypes.CDLL(None).malloc_trim(0)
