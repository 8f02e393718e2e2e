"""The labels of a sample in MMPose's pipeline, and what may happen to its points.

Shapes: N instances, K keypoints. Pixel centres are whole numbers, so an image of W x H px spans
-0.5 to W - 0.5 and -0.5 to H - 0.5. Arrays are replaced, never written to: a data set may hand the
same array out again.
"""

from __future__ import annotations

import numpy as np

HIDDEN = 1
SEEN = 2
"""COCO visibility: 0 not labelled, 1 labelled but hidden, 2 labelled and seen."""

POINT_KEYS = ("keypoints", "transformed_keypoints", "keypoints_visible", "keypoints_visibility")


def is_cropped(results: dict) -> bool:
    """Tell if ``TopdownAffine`` has cut the model's input out of the image.

    Bottom-up transforms set ``input_size`` as well, but move ``keypoints`` themselves.
    """
    return "transformed_keypoints" in results


def has_points(results: dict) -> bool:
    """Tell if the sample has keypoints (``TopdownAffine`` makes empty ones where it has none)."""
    return results.get("keypoints") is not None


def points_key(results: dict) -> str:
    """The key of the points that lie in the present image."""
    return "transformed_keypoints" if is_cropped(results) else "keypoints"


def labelled(results: dict) -> np.ndarray:
    """(N, K) whether a point is labelled and trained."""
    visible = np.asarray(results["keypoints_visible"])
    return (visible[..., 0] if visible.ndim == 3 else visible) > 0


def seen(results: dict) -> np.ndarray:
    """(N, K) whether a point is labelled and seen; without ``keypoints_visibility``: labelled."""
    if "keypoints_visibility" not in results:
        return labelled(results)
    return labelled(results) & (results["keypoints_visibility"] == SEEN)


def inside(points: np.ndarray, width: int, height: int) -> np.ndarray:
    """(...) whether each point of ``points`` (..., 2) lies in an image of that size in px."""
    x, y = points[..., 0], points[..., 1]
    return (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)


def hide_points(results: dict, covered: np.ndarray) -> None:
    """Turn seen points that ``covered`` (N, K) marks into hidden ones; they stay trained."""
    if "keypoints_visibility" in results:
        visibility = results["keypoints_visibility"].copy()
        visibility[covered & (visibility == SEEN)] = HIDDEN
        results["keypoints_visibility"] = visibility


def drop_points(results: dict, gone: np.ndarray) -> None:
    """Take the points that ``gone`` (N, K) marks out of training: visible 0, visibility 0."""
    visible = np.array(results["keypoints_visible"])
    if visible.ndim == 3:
        visible[gone, 0] = 0
    else:
        visible[gone] = 0
    results["keypoints_visible"] = visible
    if "keypoints_visibility" in results:
        visibility = results["keypoints_visibility"].copy()
        visibility[gone] = 0
        results["keypoints_visibility"] = visibility


def swap_sides(results: dict, keys: tuple[str, ...] = POINT_KEYS) -> None:
    """Give each point the row of its mirror image, as after a mirrored image.

    Raises:
        ValueError: the sample does not say which rows belong together.
    """
    if "flip_indices" not in results:
        raise ValueError(
            "expected flip_indices in the sample to swap left and right of a mirrored image, got "
            "none; use a data set whose metainfo has the swaps"
        )
    for key in keys:
        if results.get(key) is not None:
            results[key] = np.asarray(results[key]).take(results["flip_indices"], axis=1)
