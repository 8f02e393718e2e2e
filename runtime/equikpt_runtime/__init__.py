"""Keypoints by models that equikpt exported: ``Model("horses.onnx")("horse.jpg")``.

The public names are loaded when they are first used; nothing here needs torch.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_MODULES = {
    "Clip": "clips",
    "ClipWriter": "clips",
    "CocoFile": "tables",
    "DeepLabCutTable": "tables",
    "Detector": "detectors",
    "Instance": "instance",
    "Model": "model",
    "OneEuroOptions": "one_euro",
    "PlainTable": "tables",
    "PoseSmoother": "one_euro",
    "Tracker": "tracking",
    "TrackOptions": "tracking",
    "draw_prediction": "drawing",
    "predict_frames": "tracking",
    "track_and_smooth": "tracking",
}
__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(
            f"module 'equikpt_runtime' has no attribute {name!r}; it has {', '.join(__all__)}"
        )
    return getattr(importlib.import_module(f"equikpt_runtime.{_MODULES[name]}"), name)
