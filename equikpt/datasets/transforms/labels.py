"""The labels of a sample in MMPose's pipeline, and what transforms share to change them.

Shapes: N instances, K keypoints. Pixel centres are whole numbers, so an image of W x H px spans
-0.5 to W - 0.5 and -0.5 to H - 0.5. Arrays are replaced, never written to: a data set may hand the
same array out again.
"""

from __future__ import annotations

import numpy as np

HIDDEN = 1
SEEN = 2
"""COCO visibility: 0 not labelled, 1 labelled but occluded, 2 labelled and visible."""

POINT_KEYS = ("keypoints", "transformed_keypoints", "keypoints_visible", "keypoints_visibility")


def require(owner: object, holds: bool, expected: str, **given: object) -> None:
    """Raise a ``ValueError`` that says what its owner expects and was given, unless it holds."""
    if not holds:
        got = ", ".join(f"{name}={value!r}" for name, value in given.items())
        raise ValueError(f"expected {type(owner).__name__} with {expected}, got {got}")


def draw_generator() -> np.random.Generator:
    """A generator seeded from numpy's global state, which MMEngine seeds for workers and epochs.

    A transform draws once a call and takes all it needs from a generator of its own. So what one
    transform does with an image never shifts the numbers of the next one.
    """
    return np.random.default_rng(draw_seed())


def draw_seed() -> int:
    """One seed from numpy's global state."""
    return int(np.random.randint(2**31 - 1))  # noqa: NPY002 - MMPose's transforms share this state


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
    """(N, K) whether a point is visible; without ``keypoints_visibility``, labelled."""
    return labelled(results) & np.equal(results.get("keypoints_visibility", SEEN), SEEN)


def inside(points: np.ndarray, width: int, height: int) -> np.ndarray:
    """(...) whether each point of ``points`` (..., 2) lies in an image of that size in px."""
    return np.all((points >= -0.5) & (points < (width - 0.5, height - 0.5)), axis=-1)


def hide_points(results: dict, covered: np.ndarray) -> None:
    """Turn visible points that ``covered`` (N, K) marks into occluded ones; they stay trained."""
    if "keypoints_visibility" in results:
        visibility = results["keypoints_visibility"].copy()
        visibility[covered & (visibility == SEEN)] = HIDDEN
        results["keypoints_visibility"] = visibility


def drop_points(results: dict, gone: np.ndarray) -> None:
    """Take the points that ``gone`` (N, K) marks out of training: visible 0, visibility 0.

    ``keypoints_gone`` (N, K) remembers the labelled ones: of them it is known that the image does
    not show them.
    """
    results["keypoints_gone"] = results.get("keypoints_gone", False) | (gone & labelled(results))
    for key in ("keypoints_visible", "keypoints_visibility"):
        if key in results:
            values = np.array(results[key])
            values[(gone, 0) if values.ndim == 3 else gone] = 0
            results[key] = values


def swap_sides(results: dict, keys: tuple[str, ...] = POINT_KEYS) -> None:
    """Give each point the row of its mirror image, as after a mirrored image.

    Raises:
        ValueError: The sample does not say which rows belong together.
    """
    for key in keys:
        if results.get(key) is not None:
            if "flip_indices" not in results:
                raise ValueError(
                    "expected flip_indices in the sample to swap left and right of a mirrored "
                    "image, got none; use a data set whose metainfo has the swaps"
                )
            results[key] = np.asarray(results[key]).take(results["flip_indices"], axis=1)
