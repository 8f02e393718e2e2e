"""Gait from keypoints over time: events, strides, angles, symmetry; needs no model and no torch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
