"""Single checks, with what they look at replaced."""

from __future__ import annotations

import shutil
import sys
from collections import namedtuple

import pytest

from equikpt.core import machine
from equikpt.doctor import checks
from equikpt.doctor.checks import FAIL, OK, WARN

Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("version", "status"), [((3, 9, 1), FAIL), ((3, 10, 0), OK), ((3, 13, 0), OK)]
)
def test_python(monkeypatch, version, status):
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setattr(sys, "prefix", "/an/environment")
    assert checks.check_python()[0] == status


def test_python_outside_the_environment_of_the_checkout(monkeypatch, tmp_path):
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").touch()
    monkeypatch.setattr(checks, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    status, _, fix = checks.check_python()
    assert status == WARN
    assert fix.endswith("bin/python tools/doctor.py")


@pytest.mark.parametrize(("free_gib", "status"), [(0.5, FAIL), (3, WARN), (50, OK)])
def test_disk(monkeypatch, free_gib, status):
    usage = Usage(100 * machine.GIB, 0, free_gib * machine.GIB)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert checks.check_disk()[0] == status


@pytest.mark.parametrize(("size_mib", "status"), [(64, WARN), (2048, OK)])
def test_shared_memory(monkeypatch, size_mib, status):
    usage = Usage(size_mib * 2**20, 0, 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert checks.check_shared_memory()[0] == status


@pytest.mark.parametrize(("free_gib", "status"), [(1, WARN), (3, OK)])
def test_memory(monkeypatch, free_gib, status):
    monkeypatch.setattr(machine, "memory_bytes", lambda: (free_gib * machine.GIB, 8 * machine.GIB))
    assert checks.check_memory()[0] == status


def test_memory_on_a_system_that_does_not_tell(monkeypatch):
    def fail():
        raise OSError

    monkeypatch.setattr(machine, "memory_bytes", fail)
    assert checks.check_memory()[0] == WARN


@pytest.mark.parametrize(("cores", "status"), [(1, WARN), (2, OK)])
def test_cores(monkeypatch, cores, status):
    monkeypatch.setattr(machine, "usable_cores", lambda: cores)
    assert checks.check_cores()[0] == status


@pytest.mark.parametrize(("version", "status"), [("2.3.1", FAIL), ("2.4.0+cu121", OK)])
def test_torch(monkeypatch, version, status):
    import torch

    monkeypatch.setattr(torch, "__version__", version)
    assert checks.check_torch()[0] == status


def test_mask_functions_that_give_nonsense(monkeypatch):
    from xtcocotools import mask

    assert checks.check_xtcocotools()[0] == OK
    monkeypatch.setattr(mask, "area", lambda encoded: 0)
    assert checks.check_xtcocotools()[0] == FAIL


class TestDevice:
    def test_no_gpu(self, monkeypatch):
        import torch

        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(shutil, "which", lambda name: None)
        status, found, fix = checks.check_device()
        assert (status, fix) == (WARN, "")
        assert found.startswith("CPU ")

    def test_driver_that_torch_cannot_use(self, monkeypatch):
        import torch

        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi")
        status, found, fix = checks.check_device()
        assert status == WARN
        assert "torch is built for" in found
        assert "pytorch.org" in fix


@pytest.mark.parametrize(
    ("source", "status"),
    [("__version__ = '3.3.0'", OK), ("assert False, 'mmcv too new'", WARN)],
    ids=["fits", "refuses-mmcv"],
)
def test_mmdet(monkeypatch, tmp_path, source, status):
    (tmp_path / "mmdet.py").write_text(source)
    monkeypatch.delitem(sys.modules, "mmdet", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert checks.check_mmdet()[0] == status
    sys.modules.pop("mmdet", None)


def test_training_that_learns_nothing_is_a_failure(monkeypatch):
    import torch

    from equikpt.doctor import training

    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self, closure=None: None)
    with pytest.raises(RuntimeError, match="changed weights"):
        training.train_and_reload()


def test_checkpoint_that_comes_back_wrong_is_a_failure(monkeypatch):
    from equikpt.doctor import training

    monkeypatch.setattr(training, "load_checkpoint", lambda model, *args, **kwargs: None)
    with pytest.raises(RuntimeError, match="saved weights"):
        training.train_and_reload()


@pytest.mark.parametrize(
    ("gpu", "kernels", "status", "found"),
    [
        pytest.param(True, False, OK, "float16", id="gpu"),
        pytest.param(False, True, OK, "bfloat16", id="cpu with kernels"),
        pytest.param(False, False, WARN, "trains in float32", id="emulated"),
    ],
)
def test_mixed_precision(monkeypatch, gpu, kernels, status, found):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(machine, "cpu_computes_bfloat16", lambda: kernels)
    row = checks.check_mixed_precision()
    assert row[0] == status
    assert found in row[1]
