"""The ruler's stages in one graph: a whole radiograph in, both marks in its px out.

The crops are those of ``cv2.warpAffine`` (bilinear, black outside), to the bit where float32 holds
the crop's side: it rounds positions to 1/1024 px and then down to 1/32. Neither turns, so rows and
columns are read by index, of the whole radiograph no more than a crop needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from equikpt.apis.box_predictor import BoxPredictor, View
from equikpt.apis.ruler import RulerFinder
from equikpt.export.graphs.topdown import KeypointGraph
from equikpt.export.parity import Arrays
from equikpt.structures.uncertainty import DEFAULT_LEVEL

OUTPUTS = ("keypoints", "scores", "radius", "novelty")

FINE, COARSE = 1024, 32
"""Steps a px that OpenCV rounds positions to, and those that it interpolates at."""


def taps(
    start: Tensor, step: Tensor, count: int, length: Tensor, is_row: bool
) -> list[tuple[Tensor, Tensor]]:
    """Index and weight (count,) of both px that each position of a crop lies between.

    Args:
        start: Position of the crop's first px along an axis of the image.
        step: Distance of its px.
        count: Number of them.
        length: Of the image; px outside have weight 0.
        is_row: The axis is y, along which OpenCV rounds positions; along x their parts.
    """
    along = torch.arange(count, device=step.device)
    if is_row:
        rounded = torch.round((step * along + start) * FINE)
    else:
        rounded = torch.round(step * along * FINE) + torch.round(start * FINE)
    steps = rounded + FINE / COARSE / 2
    position = torch.floor(steps * COARSE / FINE) / COARSE
    low = torch.floor(position)
    upper = position - low
    found = []
    for index, weight in ((low, 1 - upper), (low + 1, upper)):
        inside = (index >= 0) & (index < length)
        kept = torch.minimum(index.clamp_min(0), length - 1)
        found.append((kept.long(), weight * inside))
    return found


def crop(image: Tensor, center: Tensor, scale: Tensor, size: Sequence[int]) -> Tensor:
    """Crop an image (H, W, 3) uint8 as MMPose's ``TopdownAffine`` without UDP, (h, w, 3) uint8.

    Args:
        image: Any.
        center: (2,) of the crop, px of the image.
        scale: (2,) width and height of the crop, px of the image.
        size: Its width and height, w and h, in px of the crop.
    """
    start, step = center - scale / 2, scale / scale.new_tensor(size)
    height, width = sides(image)
    columns = taps(start[0], step[0], size[0], width, is_row=False)
    total = torch.zeros(())
    for row, row_weight in taps(start[1], step[1], size[1], height, is_row=True):
        line = image.index_select(0, row)
        for column, weight in columns:
            values = line.index_select(1, column).float()
            total = total + values * (row_weight[:, None] * weight)[..., None]
    return torch.floor(total + 0.5).to(torch.uint8)


def sides(image: Tensor) -> tuple[Tensor, Tensor]:
    """Height and width of an image (H, W, 3), which the graph does not know before it runs."""
    return torch.scalar_tensor(image.shape[0]), torch.scalar_tensor(image.shape[1])


class RulerGraph(KeypointGraph):
    """As :class:`~equikpt.apis.ruler.RulerFinder`, of one radiograph (1, H, W, 3).

    Args:
        predictor: Of the first stage, for whole radiographs.
        cfg: Its config.
        flip_test: As of any graph, of both stages.
        level: Probability of the radii, those of the last stage.
        refine: Predictor and config of the second stage, for crops around a mark; None gives the
            marks of the first.

    Raises:
        ValueError: A second stage of other crops, or as :class:`KeypointGraph`.
    """

    task = "ruler"

    def __init__(
        self,
        predictor: BoxPredictor,
        cfg: Config,
        flip_test: bool | None = None,
        level: float = DEFAULT_LEVEL,
        refine: tuple[BoxPredictor, Config] | None = None,
    ) -> None:
        super().__init__(predictor, cfg, flip_test, level)
        self.fine, self.finder, self.mm = None, RulerFinder(predictor), _ruler_mm(cfg)
        if refine is not None:
            crop_fraction = refine[1].test_dataloader.dataset.get("crop_fraction")
            if crop_fraction is None:
                raise ValueError(
                    "expected a config with RulerMarkDataset for the second stage, such as "
                    f"td-hm_efficientnet-lite0_p1p2-refine-192x192, got {refine[1].filename}"
                )
            self.finder = RulerFinder(predictor, refine[0], crop_fraction)
            self.fine = KeypointGraph(*refine, flip_test, level)
        for stage in filter(None, (self, self.fine)):
            if stage.crop["udp"] or not bool(stage.trained.all()):
                raise ValueError(
                    "expected stages of a ruler with use_udp=False and both marks trained, got "
                    f"{stage.crop} and {stage.trained.tolist()}"
                )

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """``keypoints`` (1, 2, 2) and ``radius`` (1, 2) px of the radiograph, ``scores`` (1, 2).

        The score of a mark is the lower one of both stages, the radius that of the second one, and
        ``novelty`` (1,) that of the whole radiograph.
        """
        whole = image[0]
        height, width = sides(whole)
        last = torch.stack([width, height]) - 1  # the box ends at the last px, as in training
        found = _run(self, whole, [last / 2], last)
        if self.fine is not None:
            side = (self.finder.crop_fraction * height).expand(2)
            refined = _run(self.fine, whole, list(found["keypoints"][0]), side)
            own = {name: _of_their_own(refined[name]) for name in OUTPUTS[:3] if name in refined}
            scores = torch.minimum(found["scores"], own["scores"])
            novelty = {"novelty": found["novelty"]} if "novelty" in found else {}
            found = {**own, "scores": scores, **novelty}
        return {name: found[name] for name in OUTPUTS if name in found}

    def input(self) -> dict[str, Any]:
        """A whole radiograph of any size; ``size`` is that of the first crop inside the graph."""
        return {**super().input(), "kind": "image"}

    def facts(self) -> dict[str, Any]:
        """State the ruler, and the fit of the radii, which are those of the last stage."""
        fit = (self.finder.fine or self.finder.coarse).model.uncertainty
        return dict(
            ruler=dict(mm=self.mm, stages=2 if self.fine is not None else 1),
            uncertainty=None if fit is None else dict(fit.to_dict(), level=self.level),
        )

    def example(self) -> Tensor:
        """A radiograph of sides that no other length in the graph has."""
        return torch.zeros(1, 701, 611, 3, dtype=torch.uint8)

    def dynamic(self) -> dict[int, str]:
        """Height and width."""
        return {1: "height", 2: "width"}

    def references(
        self, predictor: BoxPredictor, views: Sequence[View]
    ) -> Iterator[tuple[np.ndarray, Arrays]]:
        """Yield each radiograph, whatever the box, with what :class:`RulerFinder` says."""
        for image, _ in views:
            found = self.finder.find(image)
            outputs = dict(keypoints=found.points[None], scores=found.scores[None])
            if found.radii is not None:
                outputs["radius"] = found.radii[None]
            if found.novelty is not None:
                outputs["novelty"] = np.array([found.novelty])
            yield np.ascontiguousarray(image[None, ..., ::-1]), outputs


def _run(
    graph: KeypointGraph, image: Tensor, centers: list[Tensor], box: Tensor
) -> dict[str, Tensor]:
    """Outputs of a stage, in px of the image, for boxes of one size (2,) around centres (2,)."""
    aspect = graph.size[0] / graph.size[1]
    padded = box * graph.crop["padding"]
    wide = torch.maximum(padded[0], padded[1] * aspect)
    scale = torch.stack([wide, wide / aspect])
    crops = torch.stack([crop(image, center, scale, graph.size) for center in centers])
    found = KeypointGraph.forward(graph, crops)
    px = scale / scale.new_tensor(graph.size)  # px of the image a px of the crop
    found["keypoints"] = found["keypoints"] * px + (torch.stack(centers)[:, None] - scale / 2)
    if "radius" in found:
        found["radius"] = found["radius"] * px.prod().sqrt()
    return found


def _ruler_mm(cfg: Config) -> float | None:
    """Distance of the marks as the config's metric has it."""
    evaluators = cfg.get("test_evaluator") or ()
    for each in [evaluators] if isinstance(evaluators, dict) else evaluators:
        if each.get("ruler_mm"):
            return float(each["ruler_mm"])
    return None


def _of_their_own(values: Tensor) -> Tensor:
    """(2, 2, …) of a crop a mark, to what each says of its own mark, (1, 2, …)."""
    return torch.stack([values[0, 0], values[1, 1]])[None]
