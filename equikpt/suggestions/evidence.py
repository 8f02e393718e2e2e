"""Signs, in a model's predictions of unlabelled images, that a label would teach it something.

Letters: N views, K keypoints, D features.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from equikpt.apis.box_predictor import BoxPredictor, View
from equikpt.models.pooled_features import pooled_features
from equikpt.structures.pose_instance import output_scores
from equikpt.structures.training_features import unit
from equikpt_runtime.instance import predicted_visibility

MAX_SHIFT = 0.5
"""Distance of two predictions, in sides of the box, above which they only count as different."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Predictions of N views, and what speaks for labelling each.

    Args:
        keypoints: (N, K, 2) px of the image.
        scores: (N, K) probabilities, where the checkpoint has a fit, else heights of peaks.
        visibility: (N, K) predicted: 0 not in the image, 1 hidden, 2 seen.
        uncertainty: (N,) sum of one minus the score over the keypoints that are in the image: so
            many may be wrong.
        mirror: (N,) sum of their distances from the prediction of the mirrored view, in sides of
            the box.
        checkpoints: (N,) the same from the predictions of other checkpoints; 0 without any.
        novelty: (N,) distance from the training images; 0 where the checkpoint has no record.
        jump: (N,) greatest movement of a keypoint to the following frame beyond that of the others,
            in sides of the box; 0 of images.
        features: (N, D) of length 1, by which images are compared.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    visibility: np.ndarray
    uncertainty: np.ndarray
    mirror: np.ndarray
    checkpoints: np.ndarray
    novelty: np.ndarray
    jump: np.ndarray
    features: np.ndarray

    def __len__(self) -> int:
        return len(self.keypoints)

    @classmethod
    def join(cls, parts: Sequence[Evidence]) -> Evidence:
        """Put the evidence of several batches into one."""
        names = [each.name for each in fields(cls)]
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


class Judge:
    """Predict views with a top-down model of named keypoints, mirrored too.

    Where the model says which keypoints are in the image, the others do not count: a head alone has
    few of them, and its label teaches little.

    Args:
        cfg: Config of the model.
        checkpoint: Its weights, as :class:`~equikpt.apis.box_predictor.BoxPredictor` takes them.
        others: Checkpoints of the same model that are compared with it.
        device: Torch's name of where to compute.

    Raises:
        ValueError: The model sees whole images, or points at things without names.
    """

    def __init__(
        self,
        cfg: Config,
        checkpoint: str | Path | None = None,
        others: Sequence[str | Path] = (),
        device: str | None = None,
    ) -> None:
        plain = copy.deepcopy(cfg)
        plain.model.setdefault("test_cfg", {})["flip_test"] = False
        self.predictors = [BoxPredictor(plain, each, device) for each in (checkpoint, *others)]
        first = self.predictors[0]
        if first.whole or first.metainfo.get("unnamed"):
            raise ValueError(
                "expected a model of named keypoints in boxes, got one of whole images or of "
                "things without names, for which no images are suggested yet"
            )
        self.metainfo = first.metainfo
        by_id = first.metainfo["keypoint_id2name"]
        self.names: tuple[str, ...] = tuple(by_id[index] for index in range(len(by_id)))
        """Names of the K keypoints."""

    def __call__(
        self, views: Sequence[View], following: Sequence[np.ndarray | None] | None = None
    ) -> Evidence:
        """Predict a batch of views.

        Args:
            views: N images with a box each.
            following: The frame after each, in videos.
        """
        first, *others = self.predictors
        features: list[np.ndarray] = []
        handle = first.model.backbone.register_forward_hook(
            lambda module, inputs, maps: features.append(pooled_features(maps).cpu().numpy())
        )
        try:
            found = [sample.pred_instances for sample in first.batch(views)]
        finally:
            handle.remove()
        keypoints = _keypoints(found)
        scores = np.concatenate([output_scores(each) for each in found])
        presence, seen = (_probabilities(found, name) for name in ("presence", "seen"))
        sides = np.array([np.sqrt(np.prod(box[2:4] - box[:2])) for _, box in views])[:, None]

        def apart(other: np.ndarray) -> np.ndarray:
            shift = np.linalg.norm(other - keypoints, axis=-1) / sides
            return (presence * np.minimum(shift, MAX_SHIFT)).sum(axis=1)

        moved = [apart(self._predicted(each, views)) for each in others]
        jump = np.zeros(len(views))
        pairs = zip(following or (), views, strict=bool(following))
        after_views = [(image, box) for image, (_, box) in pairs if image is not None]
        if after_views:
            later = [index for index, image in enumerate(following or ()) if image is not None]
            after = self._predicted(first, after_views)
            movement = after - keypoints[later]
            movement -= np.median(movement, axis=1, keepdims=True)
            shift = np.linalg.norm(movement, axis=-1) / sides[later]
            jump[later] = (np.minimum(shift, MAX_SHIFT) * (presence[later] >= 0.5)).max(axis=1)
        return Evidence(
            keypoints=keypoints,
            scores=scores,
            visibility=predicted_visibility(scores.shape, presence, seen),
            uncertainty=(presence * (1 - scores)).sum(axis=1),
            mirror=apart(self._mirrored(views)),
            checkpoints=np.mean(moved, axis=0) if moved else np.zeros(len(views)),
            novelty=np.array([float(each.get("novelty", [0.0])[0]) for each in found]),
            jump=jump,
            features=unit(np.concatenate(features)),
        )

    @staticmethod
    def _predicted(predictor: BoxPredictor, views: Sequence[View]) -> np.ndarray:
        return _keypoints([sample.pred_instances for sample in predictor.batch(views)])

    def _mirrored(self, views: Sequence[View]) -> np.ndarray:
        """Keypoints (N, K, 2) of the mirrored views, mirrored back."""
        turned = []
        for image, box in views:
            last = image.shape[1] - 1
            mirrored = np.array([last - box[2], box[1], last - box[0], box[3]])
            turned.append((np.ascontiguousarray(image[:, ::-1]), mirrored))
        keypoints = self._predicted(self.predictors[0], turned)[:, self.metainfo["flip_indices"]]
        widths = np.array([image.shape[1] for image, _ in views])
        keypoints[..., 0] = widths[:, None] - 1 - keypoints[..., 0]
        return keypoints


def _keypoints(found: Sequence[Any]) -> np.ndarray:
    return np.concatenate([np.asarray(each.keypoints)[:, :, :2] for each in found])


def _probabilities(found: Sequence[Any], name: str) -> np.ndarray:
    """(N, K) of being in the image, or seen there; 1 where the model does not say."""
    shape = np.shape(found[0].keypoint_scores)
    ones = np.ones(shape)
    each = [np.reshape(one.get(f"keypoints_{name}", ones), shape) for one in found]
    return np.concatenate(each).astype(float)
