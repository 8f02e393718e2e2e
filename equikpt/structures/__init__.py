"""Instances, heatmaps, ground truth and boxes, as they pass between rooms."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
