"""Videos to tables that can be measured: animals followed, a camera that moves, smoothed paths."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
