from __future__ import annotations

import numpy as np
import pytest

from equikpt.metainfo import coco17, horse26, infer_keypoint_set
from equikpt.metainfo.schema import SIDE_COLORS_RGB
from equikpt.visualization import draw_keypoint_set
from tests.metainfo.stick_animals import NAMES, draw_poses


def share_of(image: np.ndarray, rgb: tuple[int, int, int]) -> float:
    """Fraction of pixels that are nearly of a colour."""
    return float((np.abs(image.astype(int) - rgb[::-1]).max(axis=-1) < 30).mean())


SWAP_RGB = (255, 95, 210)


def test_sides_have_their_colours_and_pairs_a_line_each():
    found = infer_keypoint_set("sticks", NAMES, draw_poses(20), flip_pairs=[("l_ear", "r_ear")])
    image = draw_keypoint_set(found.metainfo, draw_poses(20))
    assert image.dtype == np.uint8
    for rgb in SIDE_COLORS_RGB.values():
        assert share_of(image, rgb) > 5e-4
    nothing = infer_keypoint_set("sticks", [f"p{n}" for n in range(13)], [])
    without = draw_keypoint_set(nothing.metainfo, draw_poses(20))
    assert share_of(without, SIDE_COLORS_RGB["left"]) < share_of(image, SIDE_COLORS_RGB["left"]) / 3
    assert share_of(without, SWAP_RGB) < share_of(image, SWAP_RGB)


@pytest.mark.parametrize(
    ("names", "poses"),
    [
        (["cell"], [[[5.0, 6.0, 2.0]]]),
        (["Hüfte links", "Hüfte rechts"], np.zeros((0, 2, 3))),
        (["left_$x$", "right_$x$", "_{"], np.zeros((2, 3, 3))),
        ([f"p{n}" for n in range(100)], np.random.default_rng(0).uniform(0, 9, (3, 100, 3))),
    ],
    ids=["one", "no pose", "no label", "a hundred"],
)
def test_small_large_and_empty_sets(names, poses):
    image = draw_keypoint_set(infer_keypoint_set("any", names, poses).metainfo, poses)
    assert image.shape[0] >= 20 * len(names)
    assert share_of(image, (0x20, 0x20, 0x20)) < 0.999


@pytest.mark.parametrize("metainfo", [coco17.METAINFO, horse26.METAINFO], ids=["coco", "horse"])
def test_known_sets(metainfo):
    count = len(metainfo["sigmas"])
    poses = np.random.default_rng(0).uniform(1, 99, (5, count, 3))
    assert draw_keypoint_set(metainfo, poses).ndim == 3
