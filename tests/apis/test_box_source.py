from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from equikpt.apis.box_source import box_source

IMAGE = np.zeros((9, 12, 3), np.uint8)


def test_the_first_source_that_is_given_counts():
    def detector(image):
        return np.full((1, 5), image.shape[1])

    labels = SimpleNamespace(of=lambda path: SimpleNamespace(boxes=str(path)))
    path = Path("a.jpg")
    assert box_source()(path, IMAGE) is None
    assert box_source(labels=labels)(path, IMAGE) == "a.jpg"
    assert (box_source(detector=detector, labels=labels)(path, IMAGE) == 12).all()
    by_hand = box_source([[1, 2, 3, 4], [5, 6, 7, 8]], None, labels)
    assert by_hand(path, IMAGE).tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
