"""Keypoints by a trained model: of images in one call, or of boxes in images that are in memory."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.registry import DATASETS, TRANSFORMS
from mmpose.structures import PoseDataSample

from equikpt.apis.loading import load_model
from equikpt.config_checks.options import load_config
from equikpt.core.configs import work_dir_of
from equikpt.core.image import as_image, read_image
from equikpt.core.pipelines import fill_codec
from equikpt.core.project import find_checkpoint
from equikpt.metainfo.trained import trained_keypoints
from equikpt.structures.pose_instance import Instance, maps_of
from equikpt.structures.training_features import TrainingFeatures
from equikpt.visualization.pose import has_names

TARGETS = ("GenerateTarget", "GenerateValTarget", "MaskUnlabelled")
"""Transforms of a pipeline that only losses need."""
View = tuple[np.ndarray, np.ndarray]
"""An image (H, W, 3) uint8, BGR, and a box (4,) in it: left, top, right and bottom in px."""
Image = str | Path | np.ndarray
"""A path, or pixels (H, W, 3), (H, W) or (H, W, 4) with alpha, uint8 or uint16, BGR as OpenCV."""


def usable_device(name: str | None) -> str:
    """Return the device that is named, or else a GPU, Apple's included, or the CPU."""
    if name:
        return name
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


class BoxPredictor:
    """A trained model, ready for boxes of images that are in memory.

    A bottom-up model sees the whole image, whatever the box.

    Args:
        cfg: Of the model; its test pipeline is used, without targets. It is not changed.
        checkpoint: Its weights: a file, or the folder of their run, as
            :func:`equikpt.core.project.find_checkpoint` takes it; by default the config's work dir.
        device: Torch's name of where to compute; by default a GPU if there is one.
        maps: Give samples the heatmaps that their points were read from, as
            ``pred_fields.heatmaps`` (K, H, W), where the head has them (of SimCC the outer product
            of ``pred_instances.keypoint_x_labels`` and ``…_y_labels``).

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: It is of another model, or the model of other keypoints than the data set.
    """

    def __init__(
        self,
        cfg: Config,
        checkpoint: str | Path | None = None,
        device: str | None = None,
        maps: bool = False,
    ) -> None:
        checkpoint = find_checkpoint(work_dir_of(cfg) if checkpoint is None else checkpoint)
        if maps:  # MMPose says at each call that SimCC's are normalized
            warnings.filterwarnings("ignore", "The predicted simcc values are normalized")
        init_default_scope("mmpose")
        self.metainfo = metainfo_of(cfg)
        model = load_model(cfg, checkpoint, maps, self.metainfo)
        self.model = model.to(usable_device(device)).eval()
        dataset = cfg.test_dataloader.dataset
        self.whole = dataset.get("data_mode") == "bottomup"
        steps = fill_codec(dataset.pipeline, dataset.get("codec"))
        self.pipeline = Compose([step for step in steps if step["type"] not in TARGETS])

    def __call__(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[InstanceData]:
        """``keypoints`` (1, K, 2) in px of the image and ``keypoint_scores`` (1, K) in each box.

        Keypoints that had no label in training score 0, and their coordinates stand for nothing.
        Where the checkpoint holds the features of its training, also ``novelty`` (1,): the
        distance from these, see :meth:`refusal`.
        """
        return [sample.pred_instances for sample in self.samples(image, boxes)]

    @property
    def training_features(self) -> TrainingFeatures | None:
        """What the checkpoint says of the images of its training; None where it says nothing."""
        return getattr(self.model, "training_features", None)

    def refusal(self, found: InstanceData) -> str:
        """Reason not to believe one of :meth:`__call__`'s results; empty where there is none."""
        features, novelty = self.training_features, found.get("novelty", ())
        return features.refusal(novelty[0]) if features is not None and len(novelty) else ""

    def samples(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[PoseDataSample]:
        """Predict a data sample for each box (4,) of an image (H, W, 3) uint8, BGR."""
        return self.batch([(image, box) for box in boxes])

    def batch(self, views: Sequence[View]) -> list[PoseDataSample]:
        """Predict data samples for boxes of any images, computed at once."""
        if not views:
            return []
        samples = [
            self.pipeline(
                dict(
                    img=image,
                    img_path="",
                    bbox=np.asarray(box, np.float32)[None],
                    bbox_score=np.ones(1, np.float32),
                    flip_indices=self.metainfo["flip_indices"],  # for the flip test
                )
            )
            for image, box in views
        ]
        with torch.no_grad():
            return self.model.test_step(pseudo_collate(samples))


def metainfo_of(cfg: Config) -> dict:
    """MMPose's parsed metainfo of the data set that a config tests on."""
    dataset = cfg.test_dataloader.dataset
    return DATASETS.get(dataset.type)._load_metainfo(copy.deepcopy(dataset.get("metainfo")))


def whole_image(image: np.ndarray) -> np.ndarray:
    """The box (4,) of a whole image (H, W, 3).

    MMPose's data sets clip boxes to the last px, so training saw images this way.
    """
    height, width = image.shape[:2]
    return np.array([0, 0, width - 1, height - 1])


class Predictor:
    """A trained model that takes images.

    ``Predictor("rtmpose_m_ap10k", "best.pth")("horse.jpg")`` is the list of what it found; of a
    project or a run the folder is enough: ``Predictor("mice")("mouse.jpg")``. A
    top-down model finds one animal in each box and, without boxes, one in the whole image. One
    that points at things gives as many keypoints as it found, in its order. One of whole images
    gives each peak as an instance of one point, of which all others are NaN: peaks are not grouped.
    Files are read as the model's training read them. A keypoint that had no label in training, as
    the checkpoint records, is never given: it is NaN, with the score 0 (see ``trained``). Neither
    are those of an image, or a box, that is unlike the images of the training, where the
    checkpoint holds their features: ``refused`` of the instance has the reason.

    Args:
        config: Path or name of a config, a project folder, or the config itself.
        checkpoint: Weights of its model: a file, or the folder of their run; by default of the
            config's work dir the best ones.
        device: Torch's name of where to compute; by default a GPU if there is one.
        batch_size: Boxes that are computed at once, and images that are in memory at once.
        maps: Give instances the heatmaps that their points were read from.
        refuse: Give no keypoints for what is unlike the training; False gives them all the same.

    Raises:
        FileNotFoundError: No such config or checkpoint.
        ValueError: The checkpoint is of another model.
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None = None,
        device: str | None = None,
        batch_size: int = 8,
        maps: bool = False,
        refuse: bool = True,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"expected batch_size of at least 1, got {batch_size}")
        cfg = config if isinstance(config, Config) else load_config(config)
        self.batch_size = batch_size
        self.maps = maps
        self.refuse = refuse
        self._model = BoxPredictor(cfg, checkpoint, device, maps)
        loading = TRANSFORMS.get(cfg.test_dataloader.dataset.pipeline[0]["type"])
        self._read = getattr(loading, "read_image", read_image)
        self.metainfo = self._model.metainfo
        """MMPose's parsed metainfo: names, links and colours of the K keypoints."""
        by_id = self.metainfo["keypoint_id2name"]
        self.names: tuple[str, ...] = tuple(by_id[index] for index in range(len(by_id)))
        """Names of the K keypoints in their order."""
        self.trained: np.ndarray = trained_keypoints(self.metainfo)
        """(K,) bool: keypoints that had labels in training."""
        self.takes_boxes = not self._model.whole
        """True where the model sees boxes, and not whole images only."""
        self.training_features: TrainingFeatures | None = self._model.training_features
        """What the checkpoint says of its training's images, with the limit of ``novelty``."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a path is a sequence of letters
        self, images: Image, boxes: Sequence | np.ndarray | None = None
    ) -> list[Instance]: ...

    @overload
    def __call__(
        self, images: Sequence[Image], boxes: Sequence | None = None
    ) -> list[list[Instance]]: ...

    def __call__(self, images, boxes=None):
        """Predict the instances of an image, or of each image of a list.

        Args:
            images: One, or a list.
            boxes: (N, 4) left, top, right and bottom in px of the image, or (N, 5) with a score;
                of a list of images one such array, or None, each. None is the whole image.

        Returns:
            N instances, or a list of such lists for a list of images.

        Raises:
            OSError: A file that is missing, damaged or no image.
            ValueError: An array that is no image, boxes that are none or do not fit in number, or
                boxes for a model of whole images.
        """
        if isinstance(images, Image):
            return next(self.stream([(images, boxes)]))
        boxes = [None] * len(images) if boxes is None else boxes
        if len(boxes) != len(images):
            raise ValueError(
                f"expected boxes for each of {len(images)} images, got {len(boxes)}; give None "
                "for a whole image"
            )
        return list(self.stream(zip(images, boxes, strict=True)))

    def read(self, image: Image) -> np.ndarray:
        """(H, W, 3) uint8, BGR; errors as :meth:`__call__`."""
        return as_image(image) if isinstance(image, np.ndarray) else self._read(image)

    def stream(
        self, images: Iterable[tuple[Image, Sequence | np.ndarray | None]]
    ) -> Iterator[list[Instance]]:
        """Predict the instances of any number of images, which come with their boxes.

        Never more than ``batch_size`` images are taken before their instances are given.
        """
        remaining = iter(images)
        while chunk := list(islice(remaining, self.batch_size)):
            views, counts = [], []
            for image, boxes in chunk:
                pixels = self.read(image)
                rows = self._rows(pixels, boxes)
                views += [(pixels, row) for row in rows]
                counts.append(len(rows))
            found = iter(self._predict(views))
            yield from ([each for part in islice(found, n) for each in part] for n in counts)

    def _rows(self, image: np.ndarray, boxes: Sequence | np.ndarray | None) -> np.ndarray:
        """(N, 5) checked boxes with their scores."""
        if boxes is None:
            return np.append(whole_image(image), 1.0)[None]
        if not self.takes_boxes:
            raise ValueError("expected no boxes for a model of whole images; leave them out")
        rows = np.asarray(boxes, float)
        if not rows.size:
            return np.zeros((0, 5))
        if rows.ndim != 2 or rows.shape[1] not in (4, 5) or not np.isfinite(rows).all():
            raise ValueError(
                "expected boxes of shape (N, 4), left, top, right and bottom in px, got "
                f"{rows.tolist() if rows.size < 20 else rows.shape}"
            )
        inverted = (rows[:, 2:4] <= rows[:, :2]).any(axis=1)
        if inverted.any():
            raise ValueError(
                "expected boxes as left, top, right and bottom, got "
                f"{rows[inverted][0].tolist()}, whose right or bottom does not lie beyond its left "
                "or top"
            )
        size_px = image.shape[1::-1]
        if ((rows[:, 2:4] <= 0) | (rows[:, :2] >= size_px)).any():
            raise ValueError(
                f"expected boxes within the image's {size_px[0]} x {size_px[1]} px, got "
                f"{rows[:, :4].tolist()}; give them in px of the image"
            )
        return rows if rows.shape[1] == 5 else np.column_stack([rows, np.ones(len(rows))])

    def _predict(self, views: list[View]) -> Iterator[list[Instance]]:
        """The instances in each view, (image, (5,) box and score)."""
        # whole images come in any size, and their padding must not depend on each other
        size = self.batch_size if self.takes_boxes else 1
        for start in range(0, len(views), size):
            batch = views[start : start + size]
            samples = self._model.batch([(image, row[:4]) for image, row in batch])
            for sample, (_, row) in zip(samples, batch, strict=True):
                yield self._instances(sample, row)

    def _instances(self, sample: PoseDataSample, row: np.ndarray) -> list[Instance]:
        maps = maps_of(sample, self._model.model.head.decoder) if self.maps else None
        found = sample.pred_instances
        coords, scores = np.asarray(found.keypoints), np.asarray(found.keypoint_scores)
        if "labels" in found:  # peaks, which know their keypoint
            alone, rows = (coords[:, 0], scores[:, 0]), np.arange(len(coords))
            coords = np.full((len(rows), len(self.names), 2), np.nan)
            scores = np.zeros(coords.shape[:2])
            coords[rows, found.labels], scores[rows, found.labels] = alone
        elif coords.shape[1] == len(self.trained):
            coords = np.where(self.trained[:, None], coords, np.nan)
        refused = self._model.refusal(found) if self.refuse else ""
        if refused:  # one instance without keypoints, and no point where they have no names
            count = len(self.names) if has_names(self.metainfo) else 0
            coords, scores = np.full((1, count, 2), np.nan), np.zeros((1, count))
        coords, scores, box = (each.astype(np.float32) for each in (coords, scores, row[:4]))
        novelty = float(found.novelty[0]) if len(found.get("novelty", ())) else None
        rest = dict(maps=maps, novelty=novelty, refused=refused)
        return [
            Instance(points[:, :2], its_scores, box, float(row[4]), **rest)
            for points, its_scores in zip(coords, scores, strict=True)
        ]
