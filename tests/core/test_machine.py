"""Cores and memory by what the system's files say."""

from __future__ import annotations

import os

import pytest

from equikpt.core.machine import GIB, cpu_model, memory_bytes, usable_cores


@pytest.fixture
def meminfo(tmp_path):
    path = tmp_path / "meminfo"
    path.write_text("MemTotal:       33554432 kB\nMemFree:  1 kB\nMemAvailable:   16777216 kB\n")
    return path


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", None), ("100000 100000", 1), ("50000 100000", 1), ("", None)],
    ids=["none", "one", "half", "no-file"],
)
def test_cores_by_quota(tmp_path, quota, cores):
    if quota:
        (tmp_path / "cpu.max").write_text(quota)
    assert usable_cores(tmp_path) == (cores or len(os.sched_getaffinity(0)))


def test_memory_of_the_machine(tmp_path, meminfo):
    assert memory_bytes(tmp_path, meminfo) == (16 * GIB, 32 * GIB)


def test_memory_of_a_container(tmp_path, meminfo):
    (tmp_path / "memory.max").write_text(str(4 * GIB))
    (tmp_path / "memory.current").write_text(str(3 * GIB))
    assert memory_bytes(tmp_path, meminfo) == (GIB, 4 * GIB)


def test_memory_without_proc(tmp_path):
    free, total = memory_bytes(tmp_path, tmp_path / "none")
    assert 0 < free <= total


def test_cpu_model(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\n")
    assert cpu_model(path) == "Some CPU @ 3 GHz"
    assert cpu_model(tmp_path / "none")
