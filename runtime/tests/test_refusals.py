from pathlib import Path

import numpy as np
import pytest

from equikpt.structures import Instance
from equikpt_runtime.refusals import RefusedFrames, format_refusal, refusal_lines


def instance(novelty: float | None = None) -> Instance:
    """Refused from a novelty of 1 on."""
    refused = f"unlike (score {novelty})" if novelty and novelty >= 1 else ""
    return Instance(np.zeros((2, 2)), np.ones(2), np.zeros(4), novelty=novelty, refused=refused)


@pytest.mark.parametrize(
    ("novelties", "expected"),
    [
        ([], ""),
        ([None], ""),
        ([0.3, 0.9], ""),
        ([1.5], "unlike (score 1.5)"),
        ([1.5, 0.5, 2.5], "2 of 3 boxes unlike (score 2.5)"),
    ],
)
def test_an_image_has_one_reason_that_of_its_strangest_box(novelties, expected):
    instances = [instance(each) for each in novelties]
    assert format_refusal(instances) == expected
    lines = [f"a.jpg: {expected}"] if expected else []
    assert refusal_lines(Path("a.jpg"), instances) == lines


def test_frames_are_counted_and_the_first_one_named():
    frames = RefusedFrames()
    assert frames.lines(Path("a.mp4")) == []
    for time_s, novelty in ((0.0, 0.5), (0.4, 2.0), (0.8, 3.0), (1.2, None)):
        frames.add([instance(novelty)], time_s)
    expected = "a.mp4: 2 of 4 frames, the first at 0.40 s: unlike (score 2.0)"
    assert frames.lines(Path("a.mp4")) == [expected]
