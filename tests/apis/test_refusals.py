import numpy as np
import pytest

from equikpt.apis.refusals import format_refusal, format_refused_frames
from equikpt.structures import Instance


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
    assert format_refusal([instance(each) for each in novelties]) == expected


def test_frames_are_counted_and_the_first_one_named():
    refused = [(0.4, "unlike (score 2)"), (0.8, "1 of 2 boxes unlike (score 3)")]
    line = format_refused_frames(refused, 30)
    assert line == "2 of 30 frames, the first at 0.40 s: unlike (score 2)"
