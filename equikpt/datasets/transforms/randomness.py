"""Random numbers that MMEngine's seeds decide."""

from __future__ import annotations

import numpy as np

SEED_LIMIT = 2**31 - 1


def draw_seed() -> int:
    """One seed from numpy's global state, which is what workers and epochs are seeded through.

    A transform draws once a call and takes all it needs from a generator of its own. So what one
    transform does with an image never shifts the numbers of the next one.
    """
    return int(np.random.randint(SEED_LIMIT))  # noqa: NPY002 - MMPose's transforms share this state


def draw_generator() -> np.random.Generator:
    """A generator that starts from :func:`draw_seed`."""
    return np.random.default_rng(draw_seed())
