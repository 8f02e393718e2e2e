"""Models as modules that a file can hold; the table says what makes the graph of a model."""

from equikpt.export.graphs.base import Graph
from equikpt.export.graphs.peaks import PeaksGraph
from equikpt.export.graphs.points import PointsGraph
from equikpt.export.graphs.ruler import RulerGraph
from equikpt.export.graphs.table import GRAPHS, graph_for
from equikpt.export.graphs.topdown import KeypointGraph

__all__ = [
    "GRAPHS",
    "Graph",
    "KeypointGraph",
    "PeaksGraph",
    "PointsGraph",
    "RulerGraph",
    "graph_for",
]
