"""How often each keypoint is labelled, and with which visibility."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from equikpt.data_tools.verify.checks import Fault
from equikpt.data_tools.verify.label_set import LabelSet

SELDOM_SHARE = 0.02
"""Of the annotations: a point that fewer label hardly trains."""
LEAST_ANNOTATIONS = 50
"""Below this, shares say little."""
OFTEN_MISSING_SHARE = 0.05
"""Points are left out of a set at times where its average point is missing this often."""


def check_visibility(labels: LabelSet) -> Iterator[Fault]:
    """Keypoints that are labelled never, seldom or always, and visibilities that say nothing."""
    for index, file in enumerate(labels.files):
        visibility = labels.visibility[labels.file == index]
        if not len(visibility):
            continue
        share = (visibility > 0).mean(axis=0)
        yield from _by_keypoint(labels, share, len(visibility), file.name)
        levels = np.unique(visibility[visibility > 0])
        if len(levels) == 1 and len(visibility) >= LEAST_ANNOTATIONS:
            meaning = {1: "hidden", 2: "seen"}[int(levels[0])]
            found = f"every labelled point has visibility {levels[0]}, {meaning}"
            yield Fault("one_visibility", found, file=file.name)


def _by_keypoint(labels: LabelSet, share: np.ndarray, count: int, file: str) -> Iterator[Fault]:
    kinds = [("never_labelled", share == 0)]
    if count >= LEAST_ANNOTATIONS:
        kinds.append(("seldom_labelled", (share > 0) & (share < SELDOM_SHARE)))
        if (share[share > 0] < 1 - OFTEN_MISSING_SHARE).mean() > 0.5:
            kinds.append(("always_labelled", share == 1))
    for check, which in kinds:
        points = np.flatnonzero(which)
        if len(points):
            yield Fault(
                check,
                f"{len(points)} of {len(share)} keypoints, over {count} annotations: "
                f"{labels.scheme.named(points)}",
                file=file,
                points=tuple(points.tolist()),
            )
