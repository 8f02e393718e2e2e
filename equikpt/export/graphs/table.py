"""Choose the graph of a model by its class and its head's."""

from __future__ import annotations

from collections.abc import Callable

from mmengine.config import Config
from mmpose.models import BottomupPoseEstimator, TopdownPoseEstimator
from mmpose.models.heads import BaseHead

from equikpt.apis.box_predictor import BoxPredictor
from equikpt.export.graphs.base import Graph, is_whole_radiograph
from equikpt.export.graphs.peaks import PeaksGraph
from equikpt.export.graphs.points import sequential_graph
from equikpt.export.graphs.rtmlib import RtmlibGraph
from equikpt.export.graphs.ruler import RulerGraph
from equikpt.export.graphs.topdown import KeypointGraph
from equikpt.models.logit_heatmap_head import MultiPeakHead
from equikpt.models.sequential_attention_head import SequentialAttentionHead
from equikpt.structures.uncertainty import DEFAULT_LEVEL

GRAPHS: list[tuple[type, type, Callable[..., Graph]]] = [
    (TopdownPoseEstimator, SequentialAttentionHead, sequential_graph),
    (BottomupPoseEstimator, MultiPeakHead, PeaksGraph),
    (TopdownPoseEstimator, BaseHead, KeypointGraph),
]
"""Class of the estimator, class of its head, and what makes the graph of such a model; the first
row that fits counts, so that the special ones stand above."""

READERS: dict[str, Callable[..., Graph]] = {"rtmlib": RtmlibGraph}
"""Libraries that decode by themselves, and what makes graphs for them."""


def graph_for(
    predictor: BoxPredictor,
    cfg: Config,
    flip_test: bool | None = None,
    level: float = DEFAULT_LEVEL,
    refine: tuple[BoxPredictor, Config] | None = None,
    reader: str | None = None,
) -> Graph:
    """Make the graph of a trained model.

    Args:
        predictor: The model.
        cfg: Its config.
        flip_test: Average with the mirrored crop; None as the config says.
        level: Probability of the radii.
        refine: Predictor and config of the second stage of a ruler.
        reader: One of :data:`READERS`.

    Raises:
        ValueError: No graph is known for such a model, or an option that it does not have.
    """
    if reader is not None:
        if refine is not None or reader not in READERS:
            raise ValueError(
                f"expected a reader of {', '.join(READERS)}, and one stage for it, got {reader!r}"
                f"{'' if refine is None else ' with a second stage'}"
            )
        return READERS[reader](predictor, cfg, flip_test=flip_test, level=level)
    model, own_head = predictor.model, predictor.model.head
    if is_whole_radiograph(cfg, predictor.metainfo):
        return RulerGraph(predictor, cfg, flip_test=flip_test, level=level, refine=refine)
    if refine is not None:
        raise ValueError(
            "expected a first stage for whole radiographs before a second one, got "
            f"{cfg.filename}; leave the second one out"
        )
    for estimator, head, make in GRAPHS:
        if isinstance(model, estimator) and isinstance(own_head, head):
            return make(predictor, cfg, flip_test=flip_test, level=level)
    raise ValueError(
        f"expected a model that can be exported, got a {type(model).__name__} with a "
        f"{type(own_head).__name__}"
    )
