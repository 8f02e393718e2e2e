"""Images that a training may use without labels: listed, and held apart from the labelled ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmpose.registry import DATASETS

from equikpt.apis.images import find_images
from equikpt.core.coco.checks import is_box
from equikpt.core.coco.file import load_coco
from equikpt.core.image import read_image
from equikpt.core.issues import format_examples
from equikpt.data_tools.convert.coco_files import image_folders
from equikpt.data_tools.convert.names import split_named
from equikpt.data_tools.near_duplicates import Fingerprint, fingerprint, near_pairs, read_once
from equikpt.engine.training_features import dataset_parts
from equikpt_runtime.images import ImageError

Listed = tuple[str, np.ndarray | None]
"""Path of an image, and a box in it: left, top, right, bottom in px; None is all of it."""


def list_unlabelled(source: str | Path) -> list[Listed]:
    """List the images of a folder, or the boxes of a COCO file.

    The images of a file lie around it, as other commands find them.

    Raises:
        FileNotFoundError: There is no such folder or file, or no image in it.
        ValueError: The file is no COCO file, or has no boxes.
    """
    source = Path(source)
    if not source.is_file():
        return [(str(path), None) for path in find_images((), source)]
    if source.suffix != ".json":
        raise ValueError(
            f"expected a folder of images, or a COCO file (.json) with boxes, got {source}"
        )
    content = load_coco(source, parts=("images", "annotations"))
    split = split_named(source.stem)
    folders = image_folders({split: source}, None)[split]
    paths = folders.find_all([[row["file_name"]] for row in content["images"]])
    path_of = {row["id"]: path for row, path in zip(content["images"], paths, strict=True)}
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"expected the images of {source} around it, {len(missing)} of {len(paths)} are "
            f"missing ({format_examples(missing, 3)}); put them there"
        )
    rows = [
        row
        for row in content["annotations"]
        if is_box(row.get("bbox")) and not row.get("iscrowd") and row["image_id"] in path_of
    ]
    if not rows:
        raise ValueError(f"expected boxes in {source}, got none; give a folder to use whole images")
    corners = np.array([row["bbox"] for row in rows], np.float32)
    corners[:, 2:] += corners[:, :2]
    return [(str(path_of[row["image_id"]]), box) for row, box in zip(rows, corners, strict=True)]


def usable_images(source: str | Path, cfg: Config) -> list[tuple[str, np.ndarray]]:
    """Paths and boxes of images that are whole and unlike all labelled ones of a config.

    Left out, and counted in the log, are images that are (nearly) the same as one of validation or
    test, on which the model is judged, as one of training, and images that cannot be read.

    Raises:
        FileNotFoundError, ValueError: As :func:`list_unlabelled`, or nothing is left.
    """
    listed = list_unlabelled(source)
    labelled = {split: labelled_images(cfg, split) for split in ("test", "val", "train")}
    paths = list(dict.fromkeys(path for path, _ in listed))
    known = [(split, path) for split, named in labelled.items() for path in named]
    read = read_once([*paths, *(path for _, path in known)], _look)
    looks = {path: look for path, look in read.items() if look is not None}
    damaged = {path for path in paths if path not in looks}
    order = [each for each in (*known, *(("", path) for path in paths)) if each[1] in looks]
    like: dict[str, set[str]] = {split: set() for split in labelled}
    for pair in near_pairs([looks[path][0] for _, path in order]):
        (first, _), (second, path) = order[pair.first], order[pair.second]
        if first and not second:
            like[first].add(path)
    judged = like["val"] | like["test"]
    reasons = {
        "like validation or test images": judged,
        "like labelled training images": like["train"] - judged,
        "impossible to read": damaged,
    }
    gone = set.union(*reasons.values())
    logger = MMLogger.get_current_instance()
    text = ", ".join(
        f"{len(found)} {reason} (as {min(found)})" for reason, found in reasons.items() if found
    )
    if gone:
        logger.warning(f"{len(gone)} of {len(paths)} images of {source} are left out: {text}")
    left = [(path, box) for path, box in listed if path not in gone]
    if not left:
        raise ValueError(
            f"expected unlabelled images in {source}, none of {len(paths)} is left: {text}; give "
            "images that are not among the labelled ones"
        )
    logger.info(f"Learns from {len(left)} boxes or whole images of {source} without labels")
    return [(path, _whole(looks[path][1]) if box is None else box) for path, box in left]


def labelled_images(cfg: Config, split: str) -> list[str]:
    """Paths of the images of a split; none where the config or the disk has no such split."""
    if cfg.get(f"{split}_dataloader") is None:
        return []
    try:
        parts = [DATASETS.build({**each, "pipeline": []}) for each in dataset_parts(cfg, split)]
    except FileNotFoundError:
        if split == "train":
            raise
        return []
    found = (part.get_data_info(index)["img_path"] for part in parts for index in range(len(part)))
    return list(dict.fromkeys(found))


def _look(path: str) -> tuple[Fingerprint, tuple[int, int]] | None:
    """Fingerprint, and (H, W), of an image; None if it cannot be read."""
    try:
        image = read_image(path)
    except (ImageError, ImportError):
        return None
    return fingerprint(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)), image.shape[:2]


def _whole(shape: tuple[int, int]) -> np.ndarray:
    return np.array([0, 0, shape[1], shape[0]], np.float32)
