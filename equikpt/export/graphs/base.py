"""Parts that the graphs of all tasks share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from mmengine.config import Config
from mmpose.models.utils.tta import flip_heatmaps
from torch import Tensor, nn
from tqdm import tqdm

from equikpt.apis.box_predictor import BoxPredictor, View
from equikpt.core.pipelines import TOPDOWN_CROPS, fill_codec
from equikpt.export.parity import Arrays, Parity, check_parity, measure
from equikpt.metainfo.trained import trained_keypoints
from equikpt.models.pooled_features import pooled_features
from equikpt.structures.training_features import NEIGHBOURS, TrainingFeatures
from equikpt.structures.uncertainty import DEFAULT_LEVEL, Uncertainty
from equikpt_runtime.backends import load_network


class Graph(nn.Module):
    """A model from the pixels to the keypoints, as one module to be written into a file.

    :meth:`forward` takes uint8 images, RGB, (N, H, W, 3), and returns its outputs by name, in the
    order that they have in the file. Whatever a reader has to know beside them is in
    :meth:`input`, :meth:`facts` and the metadata of the model.

    Args:
        predictor: The trained model; it is used, not copied, and stays on the CPU.
        cfg: Its config.
        flip_test: Average with the mirrored crop; None as ``test_cfg`` says.
        level: Probability of the radii, or of the interval of a number.

    Raises:
        ValueError: A pipeline that is not known, or a level without a fit.
    """

    task: ClassVar[str]
    """Kind of its outputs, as the metadata names it."""
    can_be_verified: bool = True
    """True where the library that reads its file is installed."""
    trained: Tensor

    def __init__(
        self,
        predictor: BoxPredictor,
        cfg: Config,
        flip_test: bool | None = None,
        level: float = DEFAULT_LEVEL,
    ) -> None:
        super().__init__()
        predictor.set_level(level)
        self.level, metainfo = level, predictor.metainfo
        self.model = predictor.model.cpu().eval()
        self.normalise = Normalisation(self.model.data_preprocessor)
        self.crop = self.geometry(cfg, metainfo)
        self.size = [int(each) for each in self.model.head.decoder.input_size]
        test_cfg = self.model.test_cfg
        self.flip_test = bool(test_cfg.get("flip_test", False) if flip_test is None else flip_test)
        self.flip = dict(
            flip_mode=test_cfg.get("flip_mode", "heatmap"),
            shift_heatmap=test_cfg.get("shift_heatmap", False),
        )
        self.flip_indices = [int(each) for each in metainfo["flip_indices"]]
        self.register_buffer("trained", torch.from_numpy(trained_keypoints(metainfo)))
        features = predictor.training_features
        self.novelty = None if features is None else Novelty(features)

    @abstractmethod
    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Compute the outputs of images (N, H, W, 3)."""

    def features(self, image: Tensor) -> tuple[Any, dict[str, Tensor]]:
        """Compute what the head takes, each crop's before its mirrored one's, and ``novelty``."""
        inputs = self.normalise(image)
        if self.flip_test:
            inputs = torch.stack([inputs, inputs.flip(-1)], dim=1).flatten(0, 1)
        backbone = self.model.backbone(inputs)
        outputs = {}
        if self.novelty is not None:
            pooled = pooled_features(backbone)
            outputs["novelty"] = self.novelty(pair(pooled)[0] if self.flip_test else pooled)
        return self.model.neck(backbone) if self.model.with_neck else backbone, outputs

    def averaged(self, heatmaps: Tensor) -> Tensor:
        """Average heatmaps with those of the mirrored crops."""
        if not self.flip_test:
            return heatmaps
        plain, flipped = pair(heatmaps)
        return (plain + flip_heatmaps(flipped, self.flip_indices, **self.flip)) * 0.5

    def geometry(self, cfg: Config, metainfo: Mapping[str, Any]) -> dict[str, Any]:
        """State how a config cuts a crop out of an image."""
        return geometry_of(cfg, metainfo)

    def input(self) -> dict[str, Any]:
        """State what a reader feeds: ``kind``, ``size`` (width, height) and ``crop``."""
        return dict(kind="crop", size=self.size, crop=self.crop)

    def facts(self) -> dict[str, Any]:
        """Sections of the metadata that this task alone has, by name."""
        return {}

    def example(self) -> Tensor:
        """Make an input of two crops, for the tracer."""
        width, height = self.size
        return torch.zeros(2, height, width, 3, dtype=torch.uint8)

    def dynamic(self) -> dict[int, str]:
        """Name the axes of the input that may have any length."""
        return {0: "N"}

    @contextmanager
    def flipping(self) -> Iterator[None]:
        """Have the model itself average with the mirrored crop, or not, as the graph does."""
        test_cfg = self.model.test_cfg
        before = test_cfg.get("flip_test", False)
        test_cfg["flip_test"] = self.flip_test
        try:
            yield
        finally:
            test_cfg["flip_test"] = before

    def references(
        self, predictor: BoxPredictor, views: Sequence[View]
    ) -> Iterator[tuple[np.ndarray, Arrays]]:
        """Yield the input of each view, (1, H, W, 3), and what torch and numpy make of it.

        The outputs are those of :meth:`forward`, computed by the path that tests use.
        """
        with self.flipping():
            for view in views:
                packed = predictor.packed([view])
                crop = packed["inputs"][0].flip(0).permute(1, 2, 0).numpy()  # BGR to RGB
                with torch.no_grad():
                    outputs = self.expected(packed)
                yield crop[None], outputs

    def expected(self, packed: dict[str, list]) -> Arrays:
        """Compute the outputs of a packed view by the model's own way."""
        raise NotImplementedError

    def verify(
        self, file: Path, predictor: BoxPredictor, views: Sequence[View], limit_px: float
    ) -> Parity:
        """Measure how far the file is from the model on views.

        Raises:
            ValueError: Farther than ``limit_px``, px of the input.
        """
        network = load_network(file, threads=torch.get_num_threads())
        references = self.references(predictor, views)
        each = tqdm(references, "comparing", len(views), unit="image", delay=5, disable=None)
        found = measure(network, each, f"torch {torch.__version__.partition('+')[0]} float32")
        check_parity(found, limit_px)
        return found


class Normalisation(nn.Module):
    """Turn uint8 images (N, H, W, 3), RGB, into what a network takes, (N, 3, H, W) float32.

    Args:
        preprocessor: The model's, of which mean, deviation and the order of colours count.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, preprocessor: Any) -> None:
        super().__init__()
        self.is_rgb = bool(preprocessor._channel_conversion)  # from OpenCV's BGR
        normalises = preprocessor._enable_normalize
        zero, one = torch.zeros(3, 1, 1), torch.ones(3, 1, 1)
        self.register_buffer("mean", preprocessor.mean.clone() if normalises else zero)
        self.register_buffer("std", preprocessor.std.clone() if normalises else one)

    def forward(self, image: Tensor) -> Tensor:
        """Normalise."""
        planes = image.permute(0, 3, 1, 2).float()
        return ((planes if self.is_rgb else planes.flip(1)) - self.mean) / self.std


class Probability(nn.Module):
    """Interpolate calibrated probabilities, as ``Uncertainty.probability``."""

    scores: Tensor
    probabilities: Tensor

    def __init__(self, fit: Uncertainty) -> None:
        super().__init__()
        self.register_buffer("scores", torch.from_numpy(fit.scores.astype(np.float32)))
        values = torch.from_numpy(fit.probabilities.astype(np.float32))
        self.register_buffer("probabilities", values)

    def forward(self, scores: Tensor) -> Tensor:
        """Map scores of any shape."""
        last = len(self.scores) - 1
        index = (scores[..., None] >= self.scores).sum(dim=-1) - 1
        low, high = index.clamp(0, last), (index + 1).clamp(0, last)
        start, end = self.scores[low], self.scores[high]
        width = torch.where(end > start, end - start, torch.ones_like(end))
        share = ((scores - start) / width).clamp(0, 1)
        return self.probabilities[low] * (1 - share) + self.probabilities[high] * share


class Novelty(nn.Module):
    """Compute the novelty (N,) of features (N, D), as ``TrainingFeatures.novelty``."""

    mean: Tensor
    directions: Tensor
    positions: Tensor
    lengths: Tensor

    def __init__(self, features: TrainingFeatures) -> None:
        super().__init__()
        self.typical = float(features.typical)
        self.count = min(NEIGHBOURS, len(features.positions))
        lengths = np.square(features.positions).sum(axis=1) + features.rests
        for name, values in (
            ("mean", features.mean),
            ("directions", features.directions),
            ("positions", features.positions),
            ("lengths", lengths),
        ):
            self.register_buffer(name, torch.from_numpy(np.asarray(values, np.float32)))

    def forward(self, features: Tensor) -> Tensor:
        """Compare features (N, D) with the stored ones."""
        length = features.square().sum(dim=1, keepdim=True).sqrt()
        centred = features / length.clamp_min(torch.finfo(torch.float32).tiny) - self.mean
        positions = centred @ self.directions.T
        own = positions.square().sum(dim=1, keepdim=True)
        rests = (centred.square().sum(dim=1, keepdim=True) - own).clamp_min(0)
        squared = own + rests + self.lengths - 2 * positions @ self.positions.T
        nearest = squared.topk(self.count, dim=1, largest=False).values
        return nearest.clamp_min(0).sqrt().mean(dim=1) / self.typical


def geometry_of(cfg: Config, metainfo: Mapping[str, Any]) -> dict[str, Any]:
    """State how the test pipeline of a top-down config cuts a crop out of an image.

    Raises:
        ValueError: Its steps are others than the known ones.
    """
    dataset = cfg.test_dataloader.dataset
    steps = {step["type"]: step for step in fill_codec(dataset.pipeline, dataset.get("codec"))}
    crops = [steps[name] for name in TOPDOWN_CROPS if name in steps]
    if "GetBBoxCenterScale" not in steps or not crops:
        raise ValueError(
            "expected a test pipeline with GetBBoxCenterScale and TopdownAffine, got "
            f"{', '.join(steps)}"
        )
    whole = is_whole_radiograph(cfg, metainfo) or metainfo.get("unnamed")
    return dict(
        rule="whole" if whole else "box",
        padding=float(steps["GetBBoxCenterScale"].get("padding", 1.25)),
        udp=bool(crops[0].get("use_udp", False)),
    )


def is_whole_radiograph(cfg: Config, metainfo: Mapping[str, Any]) -> bool:
    """Tell the first stage of a ruler from the second, which is for crops, and from all else."""
    crops = cfg.test_dataloader.dataset.get("crop_fraction") is not None
    return bool(metainfo.get("radiographs")) and not crops


def pair(values: Tensor) -> tuple[Tensor, Tensor]:
    """Part (2 N, …) of N crops, each with its mirrored one behind it, into two of (N, …)."""
    plain, flipped = values.unflatten(0, (-1, 2)).unbind(1)
    return plain, flipped


def to_crop(coords: Any, metainfo: Mapping[str, Any]) -> np.ndarray:
    """Move predicted points (…, 2) from px of the image to px of the crop."""
    scale, center = np.asarray(metainfo["input_scale"]), np.asarray(metainfo["input_center"])
    return (np.asarray(coords) - center + scale / 2) / scale * metainfo["input_size"]
