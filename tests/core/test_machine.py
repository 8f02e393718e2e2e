"""Cores and memory by what the system says."""

import mmap
import os
from types import SimpleNamespace

import psutil
import pytest
import torch

from equikpt.core.machine import (
    GIB,
    cpu_computes_bfloat16,
    cpu_model,
    memory_bytes,
    resident_bytes,
)
from equikpt_runtime.machine import usable_cores


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", None), ("100000 100000", 1), ("50000 100000", 1), ("", None)],
    ids=["none", "one", "half", "no-file"],
)
def test_cores_by_quota(tmp_path, quota, cores):
    if quota:
        (tmp_path / "cpu.max").write_text(quota)
    assert usable_cores(tmp_path) == (cores or len(os.sched_getaffinity(0)))


def test_memory_of_the_machine_and_of_a_container(tmp_path, monkeypatch):
    memory = SimpleNamespace(total=32 * GIB, available=16 * GIB, free=1)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    assert memory_bytes(tmp_path) == (16 * GIB, 32 * GIB)
    (tmp_path / "memory.max").write_text(str(4 * GIB))
    (tmp_path / "memory.current").write_text(str(3 * GIB))
    assert memory_bytes(tmp_path) == (GIB, 4 * GIB)


def test_memory_of_this_process():
    before = resident_bytes()
    with mmap.mmap(-1, 1 << 26) as held:  # malloc may have that much left from what was freed
        held.write(b"x" * len(held))
        assert resident_bytes() - before > len(held) / 2
    free, total = memory_bytes()
    assert 0 < free <= total


def test_cpu_model(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\n")
    assert cpu_model(path) == "Some CPU @ 3 GHz"
    assert cpu_model(tmp_path / "none")


@pytest.mark.parametrize(
    ("flags", "kernels", "computes"),
    [
        ("flags\t\t: fma avx512f avx512_bf16", True, True),
        ("flags\t\t: fma avx512f amx_bf16", True, True),
        ("flags\t\t: fma avx512f avx512bw", True, False),
        ("flags\t\t: fma avx512f avx512_bf16", False, False),
        ("Features\t: fp asimd", True, True),
    ],
    ids=["avx512_bf16", "amx", "avx512-alone", "torch-without-kernels", "arm"],
)
def test_bfloat16_by_the_instructions_of_the_cpu(tmp_path, monkeypatch, flags, kernels, computes):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: kernels)
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\n{flags}\n")
    assert cpu_computes_bfloat16(path) is computes
