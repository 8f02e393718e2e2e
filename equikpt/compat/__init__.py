"""The OpenMMLab stack made usable: importing this readies it, as :mod:`equikpt.compat.stack` says.

Rooms whose modules need it import it in their ``__init__``.
"""

from equikpt.compat import stack

__all__ = ["stack"]

stack.ready()
