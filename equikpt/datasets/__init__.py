"""Data sets of keypoints, one a file; ``transforms`` has the steps of their pipelines."""

import lazy_loader

import equikpt.compat  # noqa: F401 - readies the stack

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
