"""Differences between an exported file and the model that it came from, on real images."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]

MAX_PX = 0.05
"""Distance of a keypoint, px of the input, above which an export fails."""
HALF_MAX_PX = 0.5
"""The same of weights in float16."""


@dataclass(frozen=True)
class Parity:
    """Differences of a file from its model.

    Args:
        images: Images, or crops, that were compared.
        mean_px: Mean distance of the keypoints within the input, px of it.
        max_px: Greatest distance of these.
        against: What the file was compared with.
        others: Greatest difference of each other output, in its own unit; of ``radius`` relative;
            ``keypoints_outside`` is that of keypoints beyond the input, px: a flat map, where the
            last digits decide, throws them anywhere.
        worst: Index of the image with the greatest distance.
    """

    images: int
    mean_px: float
    max_px: float
    against: str
    others: dict[str, float] = field(default_factory=dict)
    worst: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the metadata, rounded."""
        plain = asdict(self)
        plain.pop("worst")
        plain["others"] = {name: float(f"{value:.3g}") for name, value in self.others.items()}
        return {**plain, "mean_px": round(self.mean_px, 6), "max_px": round(self.max_px, 6)}


def measure(
    run: Callable[[np.ndarray], Arrays],
    references: Iterable[tuple[np.ndarray, Arrays]],
    against: str,
) -> Parity:
    """Compare a file with what its graph's ``references`` say.

    Args:
        run: Outputs of an input (1, H, W, 3).
        references: Inputs with their outputs by the model.
        against: Name of the latter.

    Raises:
        ValueError: No reference, none with a keypoint, an output that one side lacks, or a keypoint
            that is given by one side alone.
    """
    distances: list[np.ndarray] = []
    others: dict[str, float] = {}
    for image, expected in references:
        got = run(image)
        if set(got) != set(expected):
            raise ValueError(
                f"expected the outputs {', '.join(sorted(expected))} in the file, got "
                f"{', '.join(sorted(got))}: the export is wrong; please report it"
            )
        if expected["keypoints"].ndim == 4:
            distances.append(_peak_distances(got["keypoints"], expected["keypoints"]))
        else:
            apart, beyond = _distances(got["keypoints"], expected["keypoints"], image.shape)
            distances.append(apart)
            if len(beyond):
                others["keypoints_outside"] = max(others.get("keypoints_outside", 0), beyond.max())
        for name in sorted(set(got) - {"keypoints"}):
            others[name] = max(others.get(name, 0.0), _difference(name, got[name], expected[name]))
    if not sum(map(len, distances)):
        raise ValueError(
            "expected images with keypoints that the model finds, got none to compare the file "
            "on; give others by --images"
        )
    highest = [float(each.max(initial=0.0)) for each in distances]
    return Parity(
        images=len(distances),
        mean_px=float(np.concatenate(distances).mean()),
        max_px=max(highest),
        against=against,
        others=others,
        worst=int(np.argmax(highest)),
    )


def _distances(
    got: np.ndarray, expected: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Distances of the points (…, 2) within an input (1, H, W, 3), and of those beyond it."""
    missing = np.isnan(expected).any(axis=-1)
    if not np.array_equal(np.isnan(got).any(axis=-1), missing):
        raise ValueError(
            "expected the same keypoints from the file as from the model, got others: the export "
            "is wrong; please report it"
        )
    apart = np.linalg.norm(got[~missing] - expected[~missing], axis=-1)
    points = expected[~missing]
    is_inside = ((points >= 0) & (points <= (shape[2], shape[1]))).all(axis=-1)
    return apart[is_inside], apart[~is_inside]


def _peak_distances(got: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Distances (…) of peaks (N, K, M, 2) to the nearest of the other side, whatever their order.

    Peaks of nearly one height may change places, and those near the threshold come and go: their
    scores tell.
    """
    distances = []
    for ours, theirs in zip(_rows(got), _rows(expected), strict=True):
        if len(ours) and len(theirs):
            apart = np.linalg.norm(ours[:, None] - theirs, axis=-1)
            distances += [apart.min(axis=0), apart.min(axis=1)]
    return np.concatenate(distances) if distances else np.zeros(0)


def _rows(peaks: np.ndarray) -> list[np.ndarray]:
    """Peaks (m, 2) of each type."""
    return [each[~np.isnan(each).any(axis=-1)] for each in peaks.reshape(-1, *peaks.shape[2:])]


def _difference(name: str, got: np.ndarray, expected: np.ndarray) -> float:
    """Greatest difference; of radii, which grow with the spread, a fraction.

    Scores (N, K, M) of peaks are compared in the order of their heights: some places may be empty.
    """
    if name == "scores" and expected.ndim == 3:
        got, expected = np.sort(got), np.sort(expected)
    known = np.isfinite(expected)
    if not np.array_equal(np.isfinite(got), known):
        return float("inf")
    differences = np.abs(got[known] - expected[known])
    if name == "radius":
        differences = differences / np.maximum(np.abs(expected[known]), 1e-9)
    return float(differences.max(initial=0.0))


def check_parity(found: Parity, limit_px: float = MAX_PX) -> None:
    """Raise ``ValueError`` where a file differs too much from its model."""
    if not found.max_px <= limit_px:
        fix = "leave out --fp16"
        if (
            limit_px <= MAX_PX
        ):  # of two places that a weak model holds equal, the last digit chooses
            fix = "take images that the model knows by --images, or report it"
        raise ValueError(
            f"expected keypoints of the file within {limit_px:g} px of the model's, got up to "
            f"{found.max_px:.3g} px on {found.images} images (mean {found.mean_px:.2g}); nothing "
            f"was written: {fix}"
        )
    if unequal := [name for name, value in found.others.items() if not np.isfinite(value)]:
        raise ValueError(
            f"expected numbers of {', '.join(unequal)} from the file where the model gives some, "
            "and no others: the export is wrong; please report it"
        )
