"""The checks: each looks at one thing and says how it is, in the order of the table.

Nothing outside the standard library is imported before a check needs it. A check may raise
anything: :mod:`equikpt.doctor.run` makes a row of it.
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

OK, WARN, FAIL = "ok", "warn", "fail"
SETUP = "./setup.sh"
INSTALL_MMDET = "pip install -r requirements/mmdet.txt"
ROOT = Path(__file__).resolve().parents[2]

Result = tuple[str, str, str]
"""Status, what was found, the command that would fix it."""


def check_python() -> Result:
    """A Python that torch and this package run on, and the environment that setup made."""
    version = platform.python_version()
    found = f"{version} in {sys.prefix}"
    if sys.version_info < (3, 10):  # noqa: UP036  (the doctor runs where setup refused to)
        return FAIL, f"{found}; 3.10 or later is needed", f"PYTHON=python3.12 {SETUP}"
    own = ROOT / ".venv" / "bin" / "python"
    if sys.prefix == sys.base_prefix and own.exists():
        return WARN, f"{found}; the environment of this checkout is .venv", f"{own} tools/doctor.py"
    return OK, found, ""


def check_torch() -> Result:
    """The version, and one product."""
    import torch

    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if version < (2, 4):
        return FAIL, f"{torch.__version__}; 2.4 or later is needed", SETUP
    torch.ones(2, 2) @ torch.ones(2, 2)
    return OK, torch.__version__, ""


def check_torchvision() -> Result:
    """An operator: with another torch than it was built for, only these fail."""
    import torch
    import torchvision

    torchvision.ops.nms(torch.tensor([[0.0, 0, 1, 1]]), torch.ones(1), 0.5)
    return OK, torchvision.__version__, ""


def check_numpy() -> Result:
    """The version, and the bridge to torch."""
    import numpy as np
    import torch

    torch.from_numpy(np.zeros(2)).numpy()
    return OK, np.__version__, ""


def check_opencv() -> Result:
    """Writing and reading an image."""
    import cv2
    import numpy as np

    _, encoded = cv2.imencode(".jpg", np.zeros((8, 8, 3), dtype=np.uint8))
    image = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    if image is None or image.shape != (8, 8, 3):
        return FAIL, f"{cv2.__version__} cannot read the JPEG that it wrote", SETUP
    return OK, cv2.__version__, ""


def check_albumentations() -> Result:
    """The last MIT release, whose argument names our transform knows."""
    import albumentations

    version = albumentations.__version__
    if not version.startswith("2.0."):
        return WARN, f"{version}; tested with 2.0.8", "pip install albumentations==2.0.8"
    return OK, version, ""


def check_xtcocotools() -> Result:
    """Its mask functions: compiled against a wrong numpy it imports, and fails in these."""
    import numpy as np
    from xtcocotools import mask

    drawn = np.asfortranarray(np.eye(4, dtype=np.uint8))
    encoded = mask.encode(drawn)
    if int(mask.area(encoded)) != 4 or not np.array_equal(mask.decode(encoded), drawn):
        return FAIL, "its mask functions give wrong results", SETUP
    return OK, f"{metadata.version('xtcocotools')}, mask functions work", ""


def check_mmengine() -> Result:
    """Fork or official, and what it needs of setuptools."""
    import mmengine

    from equikpt.core.installation import require_pkg_resources

    require_pkg_resources()
    return OK, f"{mmengine.__version__} ({_flavour(mmengine, 'onedl-mmengine', 'mmengine')})", ""


def check_mmcv() -> Result:
    """Fork or official, compiled operators or the stand-in, and one operator."""
    import mmcv
    import torch

    from equikpt.compat import mmcv_ops, stack

    stack.ready()
    from mmcv.ops import nms

    nms(torch.tensor([[0.0, 0, 1, 1]]), torch.ones(1), 0.5)
    flavour = _flavour(mmcv, "onedl-mmcv", "mmcv", "mmcv-lite")
    if mmcv_ops.is_stand_in(sys.modules[mmcv_ops.NAME]):
        operators = f"{len(mmcv_ops.OPERATORS)} operators by the stand-in"
    else:
        operators = "compiled operators"
    return OK, f"{mmcv.__version__} ({flavour}), {operators}", ""


def check_mmpose() -> Result:
    """The version, and its models."""
    import mmpose

    from equikpt.compat import stack

    stack.ready()
    import mmpose.models  # noqa: F401

    if not mmpose.__version__.startswith("1.3."):
        return WARN, f"{mmpose.__version__}; tested with 1.3.2", SETUP
    return OK, mmpose.__version__, ""


def check_mmdet() -> Result:
    """Only for detectors: its absence is no fault."""
    if util.find_spec("mmdet") is None:
        return OK, "not installed; only needed to find horses before their pose", ""
    import equikpt.compat  # noqa: F401 - makes mmdet importable

    try:
        import mmdet
    except (ImportError, AssertionError) as error:
        return WARN, f"installed, does not load ({error})", INSTALL_MMDET
    return OK, mmdet.__version__, ""


def check_equikpt() -> Result:
    """Everything that config files may name."""
    import equikpt
    import equikpt.register  # noqa: F401

    return OK, f"{equikpt.__version__} in {Path(equikpt.__file__).parent}", ""


def check_device() -> Result:
    """GPUs with their memory and a product on each, or the CPU."""
    import torch

    if torch.cuda.is_available():
        names = []
        for index in range(torch.cuda.device_count()):
            torch.ones(2, 2, device=f"cuda:{index}").mm(torch.ones(2, 2, device=f"cuda:{index}"))
            properties = torch.cuda.get_device_properties(index)
            memory = properties.total_memory / machine.GIB
            names.append(f"{properties.name} ({memory:.0f} GiB)")
        return OK, "; ".join(names), ""
    found = f"CPU {machine.cpu_model()}; no GPU that torch can use"
    if shutil.which("nvidia-smi"):
        built = torch.version.cuda or "no CUDA"
        fix = "install the driver for that CUDA, or torch for this driver (pytorch.org)"
        return WARN, f"{found}, though there is a driver; torch is built for {built}", fix
    return WARN, f"{found}: the sample data trains in minutes, a real data set in a day", ""


def check_mixed_precision() -> Result:
    """Number type that ``--amp`` would use."""
    import torch

    if torch.cuda.is_available():
        return OK, "float16 with a loss scaler", ""
    if machine.cpu_computes_bfloat16():
        return OK, "bfloat16", ""
    return WARN, "this CPU only emulates bfloat16: --amp trains in float32", ""


def check_cores() -> Result:
    """Cores that this process may use, fewer than the machine's in a container."""
    allowed = machine.usable_cores()
    found = f"{allowed} of {os.cpu_count()} usable"
    return (OK if allowed > 1 else WARN), found, ""


def check_memory() -> Result:
    """Main memory, or a container's share of it."""
    try:
        available, total = machine.memory_bytes()
    except (OSError, AttributeError, ValueError):
        return WARN, "unknown on this system", ""
    found = f"{available / machine.GIB:.1f} GiB free of {total / machine.GIB:.1f} GiB"
    if available < 2 * machine.GIB:
        return WARN, found, "close other programs, or train with --cfg-options num_workers=0"
    return OK, found, ""


def check_shared_memory() -> Result:
    """Workers hand images over in shared memory; Docker's default of 64 MiB kills them."""
    folder = Path("/dev/shm")
    if not folder.is_dir():
        return OK, "no /dev/shm on this system", ""
    size = shutil.disk_usage(folder).total
    found = f"{size / machine.GIB:.2f} GiB in {folder}"
    if size < machine.GIB / 4:
        return WARN, found, "docker run --shm-size=2g …"
    return OK, found, ""


def check_disk() -> Result:
    """Room for checkpoints below the current folder."""
    free = shutil.disk_usage(Path.cwd()).free
    found = f"{free / machine.GIB:.1f} GiB free in {Path.cwd()}"
    if free < machine.GIB:
        return FAIL, f"{found}; a training writes about 1 GiB", "free some space, or --work-dir"
    return (WARN if free < 5 * machine.GIB else OK), found, ""


def check_training() -> Result:
    """A small pose model: three steps, then its checkpoint in a fresh copy of it."""
    from equikpt.doctor.training import train_and_reload

    return OK, train_and_reload(), ""


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


CHECKS: dict[str, tuple[Callable[[], Result], str]] = {
    "Python": (check_python, SETUP),
    "torch": (check_torch, SETUP),
    "torchvision": (check_torchvision, SETUP),
    "numpy": (check_numpy, SETUP),
    "OpenCV": (check_opencv, SETUP),
    "albumentations": (check_albumentations, SETUP),
    "xtcocotools": (check_xtcocotools, SETUP),
    "mmengine": (check_mmengine, SETUP),
    "mmcv": (check_mmcv, SETUP),
    "mmpose": (check_mmpose, SETUP),
    "mmdet": (check_mmdet, INSTALL_MMDET),
    "equikpt": (check_equikpt, SETUP),
    "device": (check_device, "nvidia-smi; or train without a GPU: CUDA_VISIBLE_DEVICES= …"),
    "--amp": (check_mixed_precision, ""),
    "cores": (check_cores, ""),
    "memory": (check_memory, ""),
    "shared memory": (check_shared_memory, ""),
    "disk": (check_disk, ""),
    "training": (check_training, SETUP),
}
"""The rows of the table, in order: the check, and what would fix it where it raises."""
