"""Images of a config that are labelled already: their features, fingerprints and limb lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mmengine.config import Config
from mmpose.registry import DATASETS

from equikpt.apis.box_predictor import BoxPredictor
from equikpt.data_tools.near_duplicates import Fingerprint, read_fingerprints
from equikpt.engine.training_features import dataset_parts, features_of, view_samples
from equikpt.engine.unlabelled_images import labelled_images
from equikpt.structures.training_features import unit

SPLITS = ("train", "val", "test")
MIN_ANNOTATIONS = 20
"""Annotations with a limb, to know its usual length."""
USUAL = 0.99
"""Fraction of labels whose limb is not longer than a usual one."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Facts on the labelled images.

    Args:
        features: (M, D) of the training images, of length 1.
        fingerprints: Of the images of all splits.
        links: (L, 2) indices of the keypoints that limbs join.
        longest: (L,) greatest usual length of each limb, in sides of the box; NaN where too few
            annotations have it.
    """

    features: np.ndarray
    fingerprints: list[Fingerprint]
    links: np.ndarray
    longest: np.ndarray

    @classmethod
    def of(cls, cfg: Config, predictor: BoxPredictor) -> Labelled:
        """Read the images of a config.

        Raises:
            FileNotFoundError: Its annotations or images are not there.
        """
        features, _ = features_of(predictor.model, view_samples(cfg, "train"))
        paths = [path for split in SPLITS for path in labelled_images(cfg, split)]
        parts = [DATASETS.build({**part, "pipeline": []}) for part in dataset_parts(cfg, "train")]
        rows = [part.get_data_info(index) for part in parts for index in range(len(part))]
        links = np.array(predictor.metainfo.get("skeleton_links") or (), int).reshape(-1, 2)
        return cls(
            unit(features),
            read_fingerprints(paths),
            links,
            _longest(rows, links),
        )

    def stretch(
        self, keypoints: np.ndarray, visibility: np.ndarray, sides: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compare the limbs of poses with the longest usual ones.

        Args:
            keypoints: (N, K, 2) px.
            visibility: (N, K) 0 not in the image.
            sides: (N,) of the boxes, px.

        Returns:
            (N,) greatest ratio, at least 1, and (N,) index of that limb.
        """
        if not len(self.links):
            return np.ones(len(keypoints)), np.zeros(len(keypoints), int)
        ratio = lengths(keypoints, self.links) / sides[:, None] / self.longest
        known = (visibility[:, self.links] > 0).all(axis=-1) & np.isfinite(ratio)
        ratio = np.where(known, np.maximum(ratio, 1), 1)
        return ratio.max(axis=1), ratio.argmax(axis=1)


def lengths(keypoints: np.ndarray, links: np.ndarray) -> np.ndarray:
    """Distances (N, L) between the ends of links (L, 2) of poses (N, K, 2)."""
    start, end = links.T
    return np.linalg.norm(keypoints[:, start] - keypoints[:, end], axis=-1)


def _longest(rows: Sequence[dict], links: np.ndarray) -> np.ndarray:
    """Usual greatest lengths (L,) of limbs of labelled instances, in sides of their boxes."""
    poses = np.concatenate([np.asarray(row["keypoints"])[:, :, :2] for row in rows])
    seen = np.concatenate([np.asarray(row["keypoints_visible"]) for row in rows])
    seen = (seen[..., 0] if seen.ndim == 3 else seen) > 0
    boxes = np.concatenate([np.asarray(row["bbox"]) for row in rows])
    sides = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
    both = seen[:, links].all(axis=-1)
    relative = np.where(both, lengths(poses, links) / sides[:, None], np.nan)
    longest = np.full(len(links), np.nan)
    enough = both.sum(axis=0) >= MIN_ANNOTATIONS
    longest[enough] = np.nanquantile(relative[:, enough], USUAL, axis=0)
    return longest
