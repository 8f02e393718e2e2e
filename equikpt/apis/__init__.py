"""Calls for notebooks: ``from equikpt.apis import Predictor``."""

from equikpt.apis.instance import Instance
from equikpt.apis.predictor import Predictor

__all__ = ["Instance", "Predictor"]
