"""Draw what a config's pipeline makes of its data, to look at before training."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS, TRANSFORMS
from tqdm import tqdm

from equikpt.core.pipelines import fill_codec
from equikpt.datasets.transforms.labels import has_points, labelled, points_key
from equikpt.visualization.pose import contact_sheet, draw_instance

TARGETS = "GenerateTarget"
"""From here on samples are tensors for the model."""
ALBUMENTATIONS = "AlbumentationsV2"
CELL_PX = (320, 320)

Step = dict[str, Any]
Drawing = tuple[np.ndarray, str]
"""An image (H, W, 3), BGR, and its caption."""


def load_dataset(cfg: Config, split: str) -> BaseCocoStyleDataset:
    """The data set of ``train``, ``val`` or ``test``, without its pipeline."""
    init_default_scope(cfg.get("default_scope", "mmpose"))
    return DATASETS.build({**cfg[f"{split}_dataloader"].dataset, "pipeline": []})


def drawable_steps(cfg: Config, split: str) -> list[Step]:
    """The pipeline up to the targets: what is left is an image with points."""
    dataset = cfg[f"{split}_dataloader"].dataset
    steps = fill_codec([dict(step) for step in dataset.pipeline], dataset.get("codec"))
    names = [step["type"] for step in steps]
    ends = [
        names.index(name)
        for name in (TARGETS, "PackPoseInputs", "FastPackPoseInputs")
        if name in names
    ]
    return steps[: min(ends, default=len(steps))]


def draw_samples(cfg: Config, split: str, count: int, seed: int) -> list[Drawing]:
    """Evenly spaced samples as the model would see them.

    Args:
        cfg: Config.
        split: ``train``, ``val`` or ``test``.
        count: How many samples, at most.
        seed: Of the augmentation.
    """
    dataset, pipeline = load_dataset(cfg, split), Compose(drawable_steps(cfg, split))
    chosen = np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().astype(int)
    np.random.seed(seed)  # noqa: NPY002 - the state that MMPose's transforms draw from
    return [
        (_drawn(pipeline(dataset.get_data_info(int(index))), dataset), f"sample {index}")
        for index in tqdm(chosen, desc="drawing", unit="img", delay=5, disable=None)
    ]


def draw_each_transform(cfg: Config, seed: int, index: int = 0) -> list[Drawing]:
    """One training sample without augmentation, and after each augmentation alone.

    Augmentations are the steps that training has and validation has not, each with probability 1,
    and those inside ``AlbumentationsV2`` one by one.

    Args:
        cfg: Config.
        seed: Of every augmentation.
        index: Of the sample in the training set.
    """
    dataset, steps = load_dataset(cfg, "train"), drawable_steps(cfg, "train")
    plain = {step["type"] for step in drawable_steps(cfg, "val")}
    drawings = []
    for name, chosen in [("as it is", None), *_augmentations(steps, plain)]:
        pipeline = [
            chosen[1] if chosen and number == chosen[0] else step
            for number, step in enumerate(steps)
            if step["type"] in plain or (chosen and number == chosen[0])
        ]
        np.random.seed(seed)  # noqa: NPY002 - the state that MMPose's transforms draw from
        drawings.append((_drawn(Compose(pipeline)(dataset.get_data_info(index)), dataset), name))
    return drawings


def _augmentations(steps: Sequence[Step], plain: set[str]) -> list[tuple[str, tuple[int, Step]]]:
    """Name, and place and step, of each augmentation alone."""
    found: list[tuple[str, tuple[int, Step]]] = []
    for number, step in enumerate(steps):
        if step["type"] == ALBUMENTATIONS:
            for inner in _leaves(step["transforms"]):
                alone = dict(type=ALBUMENTATIONS, transforms=[{**inner, "p": 1.0}])
                found.append((inner["type"], (number, alone)))
        elif step["type"] not in plain:
            found.append((step["type"], (number, {**step, **_surely(step["type"])})))
    return found


def _leaves(transforms: Sequence[Step]) -> Iterator[Step]:
    """Albumentations' transforms, those inside ``OneOf`` and its like one by one."""
    for step in transforms:
        if "transforms" in step:
            yield from _leaves(step["transforms"])
        else:
            yield step


def _surely(name: str) -> dict[str, float]:
    """1 for every argument of a transform that is a probability."""
    arguments = inspect.signature(TRANSFORMS.get(name).__init__).parameters
    return {argument: 1.0 for argument in arguments if argument.endswith("prob")}


def _drawn(sample: dict | None, dataset: BaseCocoStyleDataset) -> np.ndarray:
    if sample is None:
        raise ValueError(
            "expected a sample from the pipeline, it dropped this one; look at another with --index"
        )
    image = np.ascontiguousarray(sample["img"])
    if not has_points(sample):
        return image
    visibility = sample.get("keypoints_visibility", 2 * labelled(sample))
    for points, visible in zip(sample[points_key(sample)], visibility, strict=True):
        image = draw_instance(image, points[:, :2], dataset.metainfo, visible)
    return image


def sheet(drawings: Sequence[Drawing]) -> np.ndarray:
    """Drawings side by side, (H, W, 3), BGR."""
    images, captions = zip(*drawings, strict=True)
    return contact_sheet(images, 4, captions, CELL_PX)
