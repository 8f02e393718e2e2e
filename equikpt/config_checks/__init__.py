"""Check a config, and the options that change it, before anything is built from it."""

import lazy_loader

import equikpt.compat  # noqa: F401 - readies the stack

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
