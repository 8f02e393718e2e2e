from __future__ import annotations

import subprocess
import sys

import pytest

from equikpt.engine.cpu import allocator

LINUX = pytest.mark.skipif(
    allocator.unsupported_reason() is not None,
    reason=f"the allocator is not ours: {allocator.unsupported_reason()}",
)

STEPS = """
import resource, sys
import numpy as np
from equikpt.engine.cpu import allocator
if sys.argv[1] == "keep":
    allocator.disable_malloc_trim()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def step():  # freed one after the other, as a graph frees its activations
    blocks = [np.ones(8 * 2**20) for _ in range(4)]
step()
before = faults()
for _ in range(4):
    step()
print(faults() - before)
"""


def page_faults(mode: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", STEPS, mode], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@LINUX
def test_later_steps_ask_the_kernel_for_no_pages():
    kept, stock = page_faults("keep"), page_faults("stock")
    assert stock > 100  # the control: pages do come and go without the setting
    assert kept < stock / 20


RELEASE = """
import numpy as np
from equikpt.engine.cpu import allocator
from equikpt.core.machine import resident_bytes
allocator.disable_malloc_trim()
blocks = [np.ones(8 * 2**20) for _ in range(4)]  # 256 MiB
full = resident_bytes()
del blocks
kept = resident_bytes()
allocator.release_freed_memory()
print(full, kept, resident_bytes())
"""


@LINUX
def test_release_hands_back_what_is_free():
    done = subprocess.run(
        [sys.executable, "-c", RELEASE], capture_output=True, text=True, check=True
    )
    full, kept, released = (int(value) for value in done.stdout.split())
    assert kept > 0.9 * full
    assert released < full - 200 * 2**20


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"MALLOC_TRIM_THRESHOLD_": "1"}, "MALLOC_"),
        ({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}, "GLIBC_TUNABLES"),
    ],
    ids=["variable", "tunable"],
)
@LINUX
def test_settings_of_the_user_stay_in_charge(environ, reason):
    assert reason in allocator.unsupported_reason(environ)


@LINUX
@pytest.mark.parametrize("name", ["libjemalloc.so.2", "libtcmalloc_minimal.so.4"])
def test_another_allocator_stays_in_charge(tmp_path, name):
    maps = tmp_path / "maps"
    maps.write_text(f"7f00-7f01 r-xp 00000000 08:01 42 /usr/lib/x86_64-linux-gnu/{name}\n")
    assert name[3:11] in allocator.unsupported_reason({}, maps)


@pytest.mark.parametrize(("platform", "libc"), [("darwin", ""), ("linux", "musl")])
def test_other_c_libraries_are_left_alone(monkeypatch, platform, libc):
    monkeypatch.setattr(allocator.sys, "platform", platform)
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: (libc, "1"))
    assert "not glibc" in allocator.unsupported_reason({})
