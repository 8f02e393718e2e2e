"""Images of unnamed things, each with the points of all of them: FSC-147 and its like."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import MMLogger
from mmpose.registry import DATASETS
from tqdm import tqdm

from equikpt.core.image_checks import ListedImage, check_images, loaded_size_px
from equikpt.core.issues import format_examples, refuse_errors
from equikpt.core.pipelines import fill_codec
from equikpt.core.typed_json import read_json, refuse_wrong_types, wrong_types
from equikpt.datasets.description import Described
from equikpt.metainfo.points import METAINFO

NO_IMAGE = "no image"
"""Reason why a record is broken whose image is missing or none."""

BORDER_PX = 2.0
"""Points so far outside the last px are moved onto it; farther ones make a record broken."""


class Record(msgspec.Struct):
    """Labels of an image in ``ann_file``."""

    points: list[list[float]]


@DATASETS.register_module()
class PointSequenceDataset(Described, BaseDataset):
    """FSC-147's files as they are: a JSON of points by image, a JSON of splits, a folder.

    ``ann_file`` maps file names to ``{"points": [[x, y], …], …}`` in px of the image on disk (its
    ``H`` and ``W`` are those of another, larger version, and are not read); ``split_file`` maps
    splits to lists of file names. One sample is one whole image: its box is the image, its
    keypoints are the N points, which no flip renames (``flip_indices``). The codec puts them in
    order.

    Broken records are left out and named in the log: images that are missing or no images,
    names without points, points that are no numbers or lie outside. More than
    ``max_missing_share`` of a split stops.

        dict(
            type='PointSequenceDataset',
            data_root='data/fsc147/',
            ann_file='annotation_FSC147_384.json',
            split_file='Train_Test_Val_FSC_147.json',
            split='train',
            data_prefix=dict(img='images_384_VarV2/'),
            pipeline=train_pipeline)

    Args:
        split_file: JSON of splits; None takes all images of ``ann_file``.
        split: Its key.
        min_points: Images with fewer points are left out.
        max_points: Images with more are left out; None takes any.
        check_images: As ``CheckedCocoDataset``.
        max_missing_share: Maximum fraction of broken records, 0 to 1, with which to go on.
        codec: Config of the codec, for crops and targets of ``pipeline`` that name none.
        pipeline: Transforms.
        **kwargs: As ``BaseDataset``.

    Raises:
        FileNotFoundError: A file or too many images are missing.
        ValueError: An option, a file or too many records are wrong, or nothing is left.

    Source: Ranjan et al., 2021, https://arxiv.org/abs/2104.08391 (FSC-147).
    """

    METAINFO: dict = METAINFO

    def __init__(
        self,
        *args,
        split_file: str | None = None,
        split: str = "train",
        min_points: int = 1,
        max_points: int | None = None,
        check_images: str = "header",
        max_missing_share: float = 0.1,
        codec: dict | None = None,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs,
    ) -> None:
        if min_points < 0 or (max_points is not None and max_points < max(1, min_points)):
            raise ValueError(
                "expected min_points of at least 0 and max_points of at least 1, not below it, got "
                f"min_points={min_points}, max_points={max_points}"
            )
        if not 0 <= max_missing_share <= 1:
            raise ValueError(f"max_missing_share is {max_missing_share}; expected 0 to 1")
        self.split_file = split_file
        self.split = split
        self.min_points = min_points
        self.max_points = max_points
        self.check_images = check_images
        self.max_missing_share = max_missing_share
        self.codec = codec
        super().__init__(*args, pipeline=fill_codec(pipeline, codec), **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read, check and choose; errors as the class."""
        records = _read_object(self.ann_file)
        names = list(records) if self.split_file is None else self._names_of_split()
        folder = self.data_prefix.get("img", "")
        paths = [os.path.join(folder, name) for name in names]
        with ThreadPoolExecutor(max_workers=8) as pool:
            read = pool.map(_size_px, paths)
            sizes = list(tqdm(read, total=len(paths), unit="img", delay=5, disable=None))
        samples: list[dict] = []
        broken: dict[str, str] = {}
        for name, path, size in zip(names, paths, sizes, strict=True):
            points = _points(records.get(name), size)
            if size is None or isinstance(points, str):
                broken[name] = str(points)
            else:
                samples.append(_sample(path, points, size))
        self._judge(broken, len(names), folder)
        listed = [ListedImage(s["img_path"], *s["raw_ann_info"]["size"]) for s in samples]
        refuse_errors(check_images(listed, self.check_images), self.ann_file)
        return self._of_wanted_length(samples)

    def _names_of_split(self) -> list[str]:
        """File names of the split, in its order."""
        path = os.path.join(self.data_root or "", str(self.split_file))
        splits = _read_object(path)
        if self.split not in splits:
            raise ValueError(
                f"expected split to be one of {', '.join(splits)} of {path}, got {self.split!r}"
            )
        refuse_wrong_types(splits, dict[str, list[str]], path, "lists of file names by split")
        return splits[self.split]

    def _judge(self, broken: dict[str, str], listed: int, folder: str) -> None:
        """Name broken records; stop at too many."""
        if not broken:
            return
        each = format_examples([f"{name}: {reason}" for name, reason in broken.items()])
        message = f"{len(broken)} of {listed} records of {self.ann_file} are broken ({each})"
        if len(broken) <= self.max_missing_share * listed:
            MMLogger.get_current_instance().warning(f"{message}; they are left out")
            return
        raised = f"raise max_missing_share (now {self.max_missing_share})"
        if NO_IMAGE in broken.values():
            raise FileNotFoundError(
                f"{message}; expected images under {folder or os.getcwd()}: correct data_root "
                f"and data_prefix, or {raised}"
            )
        raise ValueError(f"{message}; expected points inside their images: correct or {raised}")

    def _of_wanted_length(self, samples: list[dict]) -> list[dict]:
        """Samples with as many points as wanted, numbered from 0."""
        most = self.max_points if self.max_points is not None else float("inf")
        counts = np.array([sample["keypoints"].shape[1] for sample in samples], int)
        few, many = counts < self.min_points, counts > most
        if few.any() or many.any():
            MMLogger.get_current_instance().info(
                f"{self.ann_file}, {self.split}: of {len(samples)} images, {few.sum()} with fewer "
                f"than {self.min_points} points and {many.sum()} with more than {self.max_points} "
                "are left out"
            )
        kept = [samples[index] for index in np.flatnonzero(~(few | many))]
        if not kept:
            raise ValueError(
                f"{self.ann_file} has no image of the split {self.split!r} with at least "
                f"{self.min_points} and at most {self.max_points} points; change the limits"
            )
        for number, sample in enumerate(kept):
            sample.update(img_id=number, id=number)
        return kept


def _read_object(path: str) -> dict:
    """The object that a JSON file holds."""
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"expected FSC-147's JSON at {path}, found no such file; set data_root"
        )
    content = read_json(Path(path), "FSC-147's JSON")
    if not isinstance(content, dict):
        raise ValueError(
            f"expected an object by file name or split in {path}, got a {type(content).__name__}"
        )
    return content


def _size_px(path: str) -> tuple[int, int] | None:
    """Width and height of an image; None where there is none."""
    try:
        return loaded_size_px(path)
    except OSError:
        return None


def _points(record: object, size: tuple[int, int] | None) -> np.ndarray | str:
    """Points (N, 2) of a record, in its image; or the reason why there are none."""
    if size is None:
        return NO_IMAGE
    if not isinstance(record, dict) or not isinstance(record.get("points"), list):
        return "no points"
    wrong = next(wrong_types(record, Record), None)
    if wrong:
        return str(wrong)
    if any(len(point) != 2 for point in record["points"]):
        return "points that are no pairs of numbers"
    points = np.array(record["points"], np.float32).reshape(-1, 2)
    if not np.isfinite(points).all():
        return "points that are no numbers"
    inside = np.clip(points, 0, np.array(size, np.float32) - 1)
    if np.abs(points - inside).max(initial=0) > BORDER_PX:
        return f"points outside its {size[0]} x {size[1]} px"
    return inside


def _sample(path: str, points: np.ndarray, size: tuple[int, int]) -> dict:
    """A data info as MMPose's top-down pipelines take it."""
    count = len(points)
    return dict(
        img_path=path,
        bbox=np.array([[0, 0, size[0] - 1, size[1] - 1]], np.float32),  # MMPose clips boxes to it
        bbox_score=np.ones(1, np.float32),
        keypoints=points[None],
        keypoints_visible=np.ones((1, count), np.float32),
        flip_indices=list(range(count)),
        category_id=1,
        iscrowd=0,
        raw_ann_info=dict(
            size=size, keypoints=np.column_stack([points, np.full(count, 2)]).ravel().tolist()
        ),
    )
