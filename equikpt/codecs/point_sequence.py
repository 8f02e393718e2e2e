"""Points of an image as a sequence."""

from __future__ import annotations

import numpy as np
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.registry import KEYPOINT_CODECS

ORDERS = ("reading", "random", "given")


@KEYPOINT_CODECS.register_module()
class PointSequence(BaseKeypointCodec):
    """Points in an order, as normalised coords over the input, padded to ``max_points``.

    Coords are 2 · px / size − 1: px 0, the centre of the first one, is −1. In the pipeline it needs
    ``TopdownAffine`` with ``use_udp=False``, whose map is the one that MMPose's estimator inverts.

    Orders: ``"reading"`` is from top to bottom, and from left to right among points of the same
    height (by y, then by x, in the input as the model sees it); ``"random"`` is drawn anew each
    time, from numpy's global state; both leave out points without a label. ``"given"`` keeps the
    order and all points: for keypoints, whose index is their name.

    Args:
        input_size: Width and height of the model's input in px.
        max_points: P, the maximum of points an image, or the number of keypoints.
        order: One of :data:`ORDERS`.

    Raises:
        ValueError: An unknown order, or a number that is not above 0.
    """

    label_mapping_table = dict(
        points="points", points_valid="points_valid", keypoint_weights="keypoint_weights"
    )

    def __init__(
        self, input_size: tuple[int, int], max_points: int, order: str = "reading"
    ) -> None:
        super().__init__()
        if order not in ORDERS:
            raise ValueError(f"expected order to be one of {', '.join(ORDERS)}, got {order!r}")
        if min(*input_size, max_points) < 1:
            raise ValueError(
                "expected input_size and max_points of at least 1, got "
                f"input_size={input_size}, max_points={max_points}"
            )
        self.input_size = tuple(input_size)
        self.max_points = max_points
        self.order = order

    def encode(self, keypoints: np.ndarray, keypoints_visible: np.ndarray | None = None) -> dict:
        """Encode the sequence of one image.

        Args:
            keypoints: (1, N, 2) in px of the input.
            keypoints_visible: (1, N), 0 for points without a label.

        Returns:
            ``points`` (1, P, 2) float32 coords, 0 where there is none; ``points_valid`` (1, P)
            float32 of 0 and 1; the same as ``keypoint_weights``.

        Raises:
            ValueError: Several instances, or more points than ``max_points``.
        """
        if len(keypoints) != 1:
            raise ValueError(f"expected one instance (top-down), got {len(keypoints)}")
        visible = np.ones(keypoints.shape[:2]) if keypoints_visible is None else keypoints_visible
        labelled = visible[0] > 0
        coords = (2 * keypoints[0] / np.array(self.input_size) - 1).astype(np.float32)
        chosen = np.arange(len(coords)) if self.order == "given" else np.flatnonzero(labelled)
        if self.order == "random":
            chosen = np.random.permutation(chosen)  # noqa: NPY002 - MMPose's transforms share it
        elif self.order == "reading":
            chosen = chosen[np.lexsort(coords[chosen].T)]
        if len(chosen) > self.max_points:
            raise ValueError(
                f"expected at most max_points={self.max_points} points, got {len(chosen)}; leave "
                "such images out by the data set's max_points, or raise that of codec and head"
            )
        points = np.zeros((1, self.max_points, 2), np.float32)
        valid = np.zeros((1, self.max_points), np.float32)
        points[0, : len(chosen)] = np.where(labelled[chosen, None], coords[chosen], 0)
        valid[0, : len(chosen)] = labelled[chosen]
        return dict(points=points, points_valid=valid, keypoint_weights=valid.copy())

    def decode(self, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Turn coords (1, N, 2) into px of the input (1, N, 2), with scores of 1, (1, N)."""
        pixels = (encoded + 1) * np.array(self.input_size, encoded.dtype) / 2
        return pixels, np.ones(encoded.shape[:2], encoded.dtype)
