"""Calls for notebooks: ``from equikpt.apis import Predictor``."""

from equikpt.apis.predictor import Predictor
from equikpt.structures.pose_instance import Instance

__all__ = ["Instance", "Predictor"]

import equikpt.compat  # noqa: F401 - readies the stack
