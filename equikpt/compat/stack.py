"""Rough edges of the OpenMMLab stack, all in one module, each with its reason.

:func:`ready` smooths them, in the official packages and in their maintained forks alike. How
checkpoints are read is in :mod:`equikpt.compat.safe_load`, how weights get into a model in
:mod:`equikpt.compat.strict_load`, how files are written in :mod:`equikpt.compat.work_dir`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import importlib.util
import os
import pickle
import pkgutil
import sys
import time
import types
import warnings
from pathlib import Path
from typing import Any

from equikpt.compat import safe_load, strict_load, work_dir
from equikpt.core.installation import SETUP, require_packages

_is_ready = False


def ready() -> None:
    """Make the installed stack usable; afterwards ``import mmpose.models`` works.

    Cheap when called again.

    Raises:
        ImportError: A needed package is missing or does not load.
    """
    global _is_ready
    if _is_ready:
        return
    # albumentations asks PyPI for a newer version at every import, and waits where it hangs
    # (https://github.com/albumentations-team/albumentations/issues/1751)
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    _import_yapf()  # which the official mmengine imports with itself
    require_packages()
    _restore_find_loader()
    provide_mmcv_ext()
    # CSP layers of mmpose and mmdet use a spelling that torch deprecates; it works
    warnings.filterwarnings(
        "ignore", r"`torch\.cuda\.amp\.autocast", FutureWarning, module=r"mm(pose|det)\."
    )
    safe_load.install()
    strict_load.install()
    work_dir.install()
    _import_mmdet()
    _import_mmpose_models()
    _draw_circles_by_number()
    _stop_early_in_training_alone()
    _is_ready = True


def _import_yapf(attempts: int = 40, wait_s: float = 0.25) -> None:
    """MMEngine writes configs with yapf, which at its first import writes a cache of its grammar.

    Not atomically: of several processes that start together, one may read half of it (an
    ``EOFError`` or an ``UnpicklingError``). It is whole a moment later.

    Raises:
        ImportError: It stays damaged, since the process that wrote it was killed.
    """
    for left in reversed(range(attempts)):
        try:
            importlib.import_module("yapf")
            return
        except (EOFError, pickle.UnpicklingError) as error:
            if not left:
                raise ImportError(
                    "the grammar cache of yapf is damaged: delete its folder YAPF in your cache"
                    " folder (on Linux ~/.cache/YAPF) and start again",
                    name="yapf",
                ) from error
            for name in [name for name in sys.modules if name.split(".")[0].startswith("yapf")]:
                del sys.modules[name]
            time.sleep(wait_s)


def _restore_find_loader() -> None:
    """Official mmengine and mmcv call ``pkgutil.find_loader``, removed from Python 3.14.

    https://docs.python.org/3/whatsnew/3.14.html#pkgutil
    """
    if hasattr(pkgutil, "find_loader"):
        return

    def find_loader(fullname: str) -> Any:
        spec = importlib.util.find_spec(fullname)
        return None if spec is None else spec.loader

    pkgutil.find_loader = find_loader


def provide_mmcv_ext() -> None:
    """Without compiled operators, mmcv gets the stand-in of :mod:`equikpt.compat.mmcv_ops`.

    ``mmcv.ops`` cannot be imported otherwise (https://github.com/open-mmlab/mmcv/issues/204).

    Raises:
        ImportError: There are compiled operators, but for another torch: a broken build is not
            covered up.
    """
    from equikpt.compat.mmcv_ops import NAME, build_ext

    if NAME in sys.modules:
        return
    import mmcv

    if importlib.util.find_spec(NAME) is None:
        mmcv._ext = sys.modules[NAME] = build_ext()
        return
    try:
        importlib.import_module(NAME)
    except ImportError as error:
        import torch

        raise ImportError(
            f"the compiled operators of mmcv {mmcv.__version__} do not load with torch"
            f" {torch.__version__} ({error}): install an mmcv that was built for this torch, or one"
            f" without compiled operators, which equikpt can use, with {SETUP}",
            name=NAME,
        ) from error


def _import_mmdet() -> None:
    """Make an optional mmdet importable, the official one and its fork.

    mmdet 3.3.0 asserts an mmcv below 2.2 and works with later ones: while it is imported it sees
    such a version (https://github.com/open-mmlab/mmdetection/issues/12312). The fork imports imgaug
    at the top, for lines alone, and no imgaug comes without a second OpenCV.
    """
    if importlib.util.find_spec("mmdet") is None:
        return
    import mmcv
    from mmengine.utils import digit_version

    version = mmcv.__version__
    mmcv.__version__ = min(version, "2.1.0", key=digit_version)
    try:
        is_there = _imports("mmdet.utils")
    finally:
        mmcv.__version__ = version
    if is_there and importlib.util.find_spec("imgaug") is None:
        lines = Path(sys.modules["mmdet"].__path__[0], "datasets/transforms/generate_line.py")
        if lines.is_file():
            _stand_in_for_imgaug()


def _stand_in_for_imgaug() -> None:
    """Modules under imgaug's names, whose classes raise where they are used."""

    def missing(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def use(*_: Any, **__: Any) -> None:
            raise ImportError(
                f"expected imgaug for {name}, which mmdet's augmentation of lines uses, found none:"
                " leave that transform out, or install imgaug",
                name="imgaug",
            )

        return use

    parts = ("augmenters", "augmentables", "augmentables.lines", "augmentables.segmaps")
    for name in ("imgaug", *(f"imgaug.{part}" for part in parts)):
        module = types.ModuleType(name)
        vars(module).update(__getattr__=missing, __path__=[])
        module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)


def _import_mmpose_models() -> None:
    """``mmpose.models`` imports mmdet for two names that mmpose has as well (its RTMO head).

    Without mmdet, the names are lent under its name while they are imported; afterwards ``import
    mmdet`` fails as it should.
    """
    if "mmpose.models" in sys.modules or _imports("mmdet.utils"):
        return
    from mmpose.utils import reduce_mean
    from mmpose.utils.typing import ConfigType

    lent = {name: types.ModuleType(name) for name in ("mmdet", "mmdet.utils")}
    vars(lent["mmdet.utils"]).update(ConfigType=ConfigType, reduce_mean=reduce_mean)
    before = {name: sys.modules[name] for name in lent if name in sys.modules}
    sys.modules.update(lent)
    try:
        importlib.import_module("mmpose.models")
    finally:
        for name in lent:
            del sys.modules[name]
        sys.modules.update(before)


def _draw_circles_by_number() -> None:
    """MMPose's visualizer takes ``int()`` of a radius in an array of one, which numpy 2.4 refuses.

    https://numpy.org/doc/stable/release/2.4.0-notes.html; mmpose 1.3.2 is the last release.
    """
    import numpy as np
    from mmpose.visualization.opencv_backend_visualizer import OpencvBackendVisualizer

    original = OpencvBackendVisualizer.draw_circles

    @functools.wraps(original)
    def draw_circles(self: Any, center: Any, radius: Any, *args: Any, **options: Any) -> Any:
        if self.backend == "opencv":
            radius = np.asarray(radius).item()
        return original(self, center, radius, *args, **options)

    OpencvBackendVisualizer.draw_circles = draw_circles


def _stop_early_in_training_alone() -> None:
    """MMEngine's early stopping asks for the training loop before a test too, which builds it.

    A test would need, read and check the training set: a folder with a test set alone is refused.
    """
    from mmengine.hooks import EarlyStoppingHook, Hook

    EarlyStoppingHook.before_train = EarlyStoppingHook.before_run
    EarlyStoppingHook.before_run = Hook.before_run


def _imports(module: str) -> bool:
    """Tell if a module can be imported: mmdet refuses versions of mmcv by an assertion."""
    try:
        importlib.import_module(module)
    except (ImportError, AssertionError):
        return False
    return True
