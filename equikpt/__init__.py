"""equikpt: keypoint models that small labelled sets can train, as MMPose modules and configs.

The rooms are loaded when they are first used: ``equikpt.models.FocalL1HeatmapLoss``.
"""

import importlib
import os
import sys
from types import ModuleType

__version__ = "0.1.0"

__all__ = [
    "apis",
    "checkpoints",
    "codecs",
    "data_tools",
    "datasets",
    "engine",
    "evaluation",
    "gait",
    "metainfo",
    "models",
    "register",
    "report",
    "structures",
    "tracks",
    "visualization",
]

if sys.platform == "darwin":  # torch reads it when it is imported: what MPS lacks, the CPU computes
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")


def config_file(name: str) -> str:
    """Return the path of a config that the package ships, for the ``_base_`` of one elsewhere.

    MMEngine's own ``package::config`` knows OpenMMLab's packages alone. ``_base_`` may be any
    expression, but a config holds no imports::

        _base_ = __import__("equikpt").config_file("rtmpose_m_ap10k")

    Raises:
        FileNotFoundError: The package ships none of that name.
    """
    return str(importlib.import_module("equikpt.core.configs").shipped_config(name))


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"equikpt.{name}")
    raise AttributeError(f"module 'equikpt' has no attribute {name!r}; it has {', '.join(__all__)}")
