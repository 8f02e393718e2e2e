"""Keypoint sets, one a file: names, sides, skeleton, sigmas, and their correspondence."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
