"""Packages that must be installed, and a sentence where one is missing or broken."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from pathlib import Path

SETUP = "./setup.sh"
"""The command that makes or repairs the environment."""

PACKAGES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "numpy": "numpy",
    "cv2": "opencv-python-headless",
    "scipy": "scipy",
    "albumentations": "albumentations",
    "xtcocotools": "xtcocotools",
    "json_tricks": "json-tricks",
    "munkres": "munkres",
    "matplotlib": "matplotlib",
    "psutil": "psutil",
    "six": "six",  # imported by mmpose, which does not say so in its metadata
    "mmengine": "onedl-mmengine",
    "mmcv": "onedl-mmcv",
    "mmpose": "mmpose",
}
"""Packages that training needs: import name and the name to install it by."""

COMPILED = ("torch", "torchvision", "numpy", "cv2", "xtcocotools.mask", "mmengine", "mmcv")
"""Modules whose wrong builds, or those of what they load, show only when they are imported."""


def require_packages() -> None:
    """Raise ``ImportError`` of what is missing or broken, with the command that repairs it."""
    for package, distribution in PACKAGES.items():
        if importlib.util.find_spec(package) is None:
            raise ImportError(
                f"expected the package {distribution} (`import {package}`) in {sys.prefix}, found"
                f" none: install what equikpt needs with {SETUP}",
                name=package,
            )
    for module in COMPILED:
        try:
            importlib.import_module(module)
        except Exception as error:  # a wrong build fails in any way: ImportError, OSError, …
            raise ImportError(
                f"{module} is installed in {sys.prefix} but does not load"
                f" ({type(error).__name__}: {error}): repair the environment with {SETUP}",
                name=module,
            ) from error
    require_pkg_resources()


def require_pkg_resources() -> None:
    """Official mmengine asks setuptools' ``pkg_resources``, gone since setuptools 81.

    https://setuptools.pypa.io/en/latest/history.html#v81-0-0; the fork asks importlib.metadata.
    """
    from mmengine.utils import package_utils

    asks = "pkg_resources" in Path(package_utils.__file__).read_text(encoding="utf-8")
    if asks and importlib.util.find_spec("pkg_resources") is None:
        import mmengine

        raise ImportError(
            f"mmengine {mmengine.__version__} needs pkg_resources, which the installed setuptools"
            " no longer has: run `pip install 'setuptools<81'`, or install the maintained fork of"
            f" mmengine with {SETUP}",
            name="pkg_resources",
        )
    # the pin is the answer to it, and it would greet every user of the official mmengine
    warnings.filterwarnings("ignore", "pkg_resources is deprecated")
