"""The checks: each looks at one thing and says how it is, in the order of the table.

Nothing outside the standard library is imported before a check needs it. A check returns what it
found, or an issue; it may raise anything: :mod:`equikpt.doctor.run` makes a row of it.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from importlib import metadata, util
from pathlib import Path
from types import ModuleType

from equikpt.core import machine
from equikpt.core.issues import Issue
from equikpt_runtime.machine import usable_cores

SETUP = "./setup.sh"
INSTALL_MMDET = "pip install -r requirements/mmdet.txt"
ROOT = Path(__file__).resolve().parents[2]

Check = Callable[[], "str | Issue"]
CHECKS: dict[str, tuple[Check, str]] = {}
"""The rows of the table, in order: the check, and what would fix it where it raises."""


def _row(name: str, fix: str = "") -> Callable[[Check], Check]:
    def add(check: Check) -> Check:
        CHECKS[name] = check, fix
        return check

    return add


def _warn(found: str, fix: str = "") -> Issue:
    return Issue("doctor", found, fix, severity="warning")


def _fail(found: str, fix: str) -> Issue:
    return Issue("doctor", found, fix, severity="error")


@_row("Python", SETUP)
def _python() -> str | Issue:
    """A Python that torch and this package run on, and the environment that setup made."""
    found = f"{platform.python_version()} in {sys.prefix}"
    if sys.version_info < (3, 10):  # noqa: UP036  (the doctor runs where setup refused to)
        return _fail(f"{found}; 3.10 or later is needed", f"PYTHON=python3.12 {SETUP}")
    own = ROOT / ".venv" / "bin" / "python"
    if sys.prefix == sys.base_prefix and own.exists():
        fix = f"{own} tools/doctor.py"
        return _warn(f"{found}; the environment of this checkout is .venv", fix)
    return found


@_row("torch", SETUP)
def _torch() -> str | Issue:
    """The version, and one product."""
    import torch

    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if version < (2, 4):
        return _fail(f"{torch.__version__}; 2.4 or later is needed", SETUP)
    torch.ones(2, 2) @ torch.ones(2, 2)
    return torch.__version__


@_row("torchvision", SETUP)
def _torchvision() -> str:
    """An operator: with another torch than it was built for, only these fail."""
    import torch
    import torchvision

    torchvision.ops.nms(torch.tensor([[0.0, 0, 1, 1]]), torch.ones(1), 0.5)
    return torchvision.__version__


@_row("numpy", SETUP)
def _numpy() -> str:
    """The version, and the bridge to torch."""
    import numpy as np
    import torch

    torch.from_numpy(np.zeros(2)).numpy()
    return np.__version__


@_row("OpenCV", SETUP)
def _opencv() -> str | Issue:
    """Writing and reading an image."""
    import cv2
    import numpy as np

    _, encoded = cv2.imencode(".jpg", np.zeros((8, 8, 3), dtype=np.uint8))
    image = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    if image is None or image.shape != (8, 8, 3):
        return _fail(f"{cv2.__version__} cannot read the JPEG that it wrote", SETUP)
    return cv2.__version__


@_row("albumentations", SETUP)
def _albumentations() -> str | Issue:
    """The last MIT release, whose argument names our transform knows."""
    import albumentations

    version = albumentations.__version__
    if not version.startswith("2.0."):
        return _warn(f"{version}; tested with 2.0.8", "pip install albumentations==2.0.8")
    return version


@_row("xtcocotools", SETUP)
def _xtcocotools() -> str | Issue:
    """Its mask functions: compiled against a wrong numpy it imports, and fails in these."""
    import numpy as np
    from xtcocotools import mask

    drawn = np.asfortranarray(np.eye(4, dtype=np.uint8))
    encoded = mask.encode(drawn)
    if int(mask.area(encoded)) != 4 or not np.array_equal(mask.decode(encoded), drawn):
        return _fail("its mask functions give wrong results", SETUP)
    return f"{metadata.version('xtcocotools')}, mask functions work"


@_row("mmengine", SETUP)
def _mmengine() -> str:
    """Fork or official, and what it needs of setuptools."""
    import mmengine

    from equikpt.core.installation import require_pkg_resources

    require_pkg_resources()
    return f"{mmengine.__version__} ({_flavour(mmengine, 'onedl-mmengine', 'mmengine')})"


@_row("mmcv", SETUP)
def _mmcv() -> str:
    """Fork or official, compiled operators or the stand-in, and one operator."""
    import mmcv
    import torch

    from equikpt.compat import mmcv_ops  # makes mmcv.ops importable
    from mmcv.ops import nms  # isort: skip

    nms(torch.tensor([[0.0, 0, 1, 1]]), torch.ones(1), 0.5)
    flavour = _flavour(mmcv, "onedl-mmcv", "mmcv", "mmcv-lite")
    operators = "compiled operators"
    if mmcv_ops.is_stand_in(sys.modules[mmcv_ops.NAME]):
        operators = f"{len(mmcv_ops.OPERATORS)} operators by the stand-in"
    return f"{mmcv.__version__} ({flavour}), {operators}"


@_row("mmpose", SETUP)
def _mmpose() -> str | Issue:
    """The version, and its models."""
    import equikpt.compat  # noqa: F401 - makes mmpose importable
    import mmpose.models  # isort: skip

    if not mmpose.__version__.startswith("1.3."):
        return _warn(f"{mmpose.__version__}; tested with 1.3.2", SETUP)
    return mmpose.__version__


@_row("mmdet", INSTALL_MMDET)
def _mmdet() -> str | Issue:
    """Only for detectors: its absence is no issue."""
    if util.find_spec("mmdet") is None:
        return "not installed; only needed to find horses before their pose"
    import equikpt.compat  # noqa: F401 - makes mmdet importable

    try:
        import mmdet
    except (ImportError, AssertionError) as error:
        return _warn(f"installed, does not load ({error})", INSTALL_MMDET)
    return mmdet.__version__


@_row("equikpt", SETUP)
def _equikpt() -> str:
    """Everything that config files may name."""
    import equikpt
    import equikpt.register  # noqa: F401

    return f"{equikpt.__version__} in {Path(equikpt.__file__).parent}"


@_row("device", "nvidia-smi; or train without a GPU: CUDA_VISIBLE_DEVICES= …")
def _device() -> str | Issue:
    """GPUs with their memory and a product on each, or the CPU."""
    import torch

    if torch.cuda.is_available():
        names = []
        for index in range(torch.cuda.device_count()):
            torch.ones(2, 2, device=f"cuda:{index}").mm(torch.ones(2, 2, device=f"cuda:{index}"))
            properties = torch.cuda.get_device_properties(index)
            names.append(f"{properties.name} ({properties.total_memory / machine.GIB:.0f} GiB)")
        return "; ".join(names)
    if torch.backends.mps.is_available():
        torch.ones(2, 2, device="mps").mm(torch.ones(2, 2, device="mps"))
        return "Apple's GPU (mps); what it lacks, the CPU computes"
    found = f"CPU {machine.cpu_model()}; no GPU that torch can use"
    if shutil.which("nvidia-smi"):
        built = torch.version.cuda or "no CUDA"
        fix = "install the driver for that CUDA, or torch for this driver (pytorch.org)"
        return _warn(f"{found}, though there is a driver; torch is built for {built}", fix)
    return _warn(f"{found}: the sample data trains in minutes, a real data set in a day")


@_row("--amp")
def _mixed_precision() -> str | Issue:
    """Number type that ``--amp`` would use."""
    import torch

    if torch.cuda.is_available():
        return "float16 with a loss scaler"
    if machine.cpu_computes_bfloat16():
        return "bfloat16"
    return _warn("this CPU only emulates bfloat16: --amp trains in float32")


@_row("cores")
def _cores() -> str | Issue:
    """Cores that this process may use, fewer than the machine's in a container."""
    allowed = usable_cores()
    found = f"{allowed} of {os.cpu_count()} usable"
    return found if allowed > 1 else _warn(found)


@_row("memory")
def _memory() -> str | Issue:
    """Main memory, or a container's part of it."""
    try:
        available, total = machine.memory_bytes()
    except (OSError, AttributeError, ValueError):
        return _warn("unknown on this system")
    found = f"{available / machine.GIB:.1f} GiB free of {total / machine.GIB:.1f} GiB"
    if available < 2 * machine.GIB:
        return _warn(found, "close other programs, or train with --cfg-options num_workers=0")
    return found


@_row("shared memory")
def _shared_memory() -> str | Issue:
    """Workers hand images over in shared memory; Docker's default of 64 MiB kills them."""
    folder = Path("/dev/shm")
    if not folder.is_dir():
        return "no /dev/shm on this system"
    size = shutil.disk_usage(folder).total
    found = f"{size / machine.GIB:.2f} GiB in {folder}"
    return _warn(found, "docker run --shm-size=2g …") if size < machine.GIB / 4 else found


@_row("disk")
def _disk() -> str | Issue:
    """Room for checkpoints below the current folder."""
    free = shutil.disk_usage(Path.cwd()).free
    found = f"{free / machine.GIB:.1f} GiB free in {Path.cwd()}"
    if free < machine.GIB:
        fix = "free some space, or --work-dir"
        return _fail(f"{found}; a training writes about 1 GiB", fix)
    return _warn(found) if free < 5 * machine.GIB else found


@_row("training", SETUP)
def _training() -> str:
    """A small pose model: three steps, then its checkpoint in a fresh copy of it."""
    from equikpt.doctor.training import train_and_reload

    return train_and_reload()


def _flavour(package: ModuleType, *distributions: str) -> str:
    """Name the one of several distributions that the imported package belongs to."""
    for distribution in distributions:
        try:
            folder = metadata.distribution(distribution).locate_file(package.__name__)
        except metadata.PackageNotFoundError:
            continue
        if Path(str(folder)) == Path(package.__path__[0]):
            return distribution
    return "of unknown origin"
