"""Single checks, with what they look at replaced."""

import shutil
import sys
from types import SimpleNamespace

import pytest
import torch

from equikpt.core import machine
from equikpt.doctor import checks, training
from equikpt.doctor.run import check

OK, WARN, FAIL = "info", "warning", "error"
GIB = machine.GIB


def usage(total: float, free: float):
    return lambda path: SimpleNamespace(total=total, free=free)


def raises():
    raise OSError


@pytest.mark.parametrize(
    ("name", "where", "attribute", "value", "severity"),
    [
        ("Python", sys, "version_info", (3, 9, 1), FAIL),
        ("Python", sys, "version_info", (3, 10, 0), OK),
        ("torch", torch, "__version__", "2.3.1", FAIL),
        ("torch", torch, "__version__", "2.4.0+cu121", OK),
        ("disk", shutil, "disk_usage", usage(100 * GIB, 0.5 * GIB), FAIL),
        ("disk", shutil, "disk_usage", usage(100 * GIB, 3 * GIB), WARN),
        ("disk", shutil, "disk_usage", usage(100 * GIB, 50 * GIB), OK),
        ("shared memory", shutil, "disk_usage", usage(64 * 2**20, 0), WARN),
        ("shared memory", shutil, "disk_usage", usage(2 * GIB, 0), OK),
        ("memory", machine, "memory_bytes", lambda: (1 * GIB, 8 * GIB), WARN),
        ("memory", machine, "memory_bytes", lambda: (3 * GIB, 8 * GIB), OK),
        ("memory", machine, "memory_bytes", raises, WARN),
        ("cores", checks, "usable_cores", lambda: 1, WARN),
        ("cores", checks, "usable_cores", lambda: 2, OK),
    ],
)
def test_a_check_judges(monkeypatch, name, where, attribute, value, severity):
    monkeypatch.setattr(sys, "prefix", "/an/environment")
    monkeypatch.setattr(where, attribute, value)
    found = check(name)
    assert (found.code, found.severity) == (name, severity)


def test_python_outside_the_environment_of_the_checkout(monkeypatch, tmp_path):
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").touch()
    monkeypatch.setattr(checks, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    found = check("Python")
    assert found.severity == WARN
    assert found.fix.endswith("bin/python tools/doctor.py")


def test_mask_functions_that_give_nonsense(monkeypatch):
    from xtcocotools import mask

    assert check("xtcocotools").severity == OK
    monkeypatch.setattr(mask, "area", lambda encoded: 0)
    assert check("xtcocotools").severity == FAIL


@pytest.mark.parametrize("driver", [None, "/usr/bin/nvidia-smi"], ids=["none", "not for torch"])
def test_a_machine_without_a_usable_gpu(monkeypatch, driver):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: driver)
    found = check("device")
    assert found.severity == WARN
    assert found.message.startswith("CPU ")
    assert ("torch is built for" in found.message) is bool(driver)
    assert ("pytorch.org" in found.fix) is bool(driver)


@pytest.mark.parametrize(
    ("source", "severity"),
    [("__version__ = '3.3.0'", OK), ("assert False, 'mmcv too new'", WARN)],
    ids=["fits", "refuses-mmcv"],
)
def test_mmdet(monkeypatch, tmp_path, source, severity):
    (tmp_path / "mmdet.py").write_text(source)
    monkeypatch.delitem(sys.modules, "mmdet", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert check("mmdet").severity == severity
    sys.modules.pop("mmdet", None)


@pytest.mark.parametrize(
    ("where", "attribute", "message"),
    [
        pytest.param(torch.optim.AdamW, "step", "changed weights", id="nothing is learnt"),
        pytest.param(training, "load_checkpoint", "saved weights", id="other weights come back"),
    ],
)
def test_training_that_does_not_work(monkeypatch, where, attribute, message):
    monkeypatch.setattr(where, attribute, lambda *args, **kwargs: None)
    found = check("training")
    assert found.severity == FAIL
    assert message in found.message


@pytest.mark.parametrize(
    ("gpu", "kernels", "severity", "message"),
    [
        pytest.param(True, False, OK, "float16", id="gpu"),
        pytest.param(False, True, OK, "bfloat16", id="cpu with kernels"),
        pytest.param(False, False, WARN, "trains in float32", id="emulated"),
    ],
)
def test_mixed_precision(monkeypatch, gpu, kernels, severity, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(machine, "cpu_computes_bfloat16", lambda: kernels)
    found = check("--amp")
    assert found.severity == severity
    assert message in found.message
