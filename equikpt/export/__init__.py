"""Trained models as files that run without torch."""

import lazy_loader

import equikpt.compat  # noqa: F401 - readies the stack

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
