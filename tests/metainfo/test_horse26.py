from __future__ import annotations

import numpy as np
import pytest

from equikpt.metainfo.horse26 import KEYPOINTS, LINKS, METAINFO

# The order is the file format of the users' annotations, written out here a second time so that a
# reordered table fails.
NAMES = [
    "nose",
    "l_eye",
    "r_eye",
    "l_ear",
    "r_ear",
    "neck",
    "withers",
    "back",
    "tail_base",
    "tail_end",
    "l_elbow",
    "r_elbow",
    "l_knee",
    "r_knee",
    "lf_fetlock",
    "rf_fetlock",
    "lf_hoof",
    "rf_hoof",
    "l_hip",
    "r_hip",
    "l_hock",
    "r_hock",
    "lh_fetlock",
    "rh_fetlock",
    "lh_hoof",
    "rh_hoof",
]


@pytest.fixture(scope="module")
def parsed() -> dict:
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    return parse_pose_metainfo(METAINFO)


def test_the_26_names_stand_in_the_order_of_the_file_format(parsed):
    assert [parsed["keypoint_id2name"][index] for index in range(26)] == NAMES


def test_flipping_twice_is_the_identity_and_exchanges_l_and_r(parsed):
    flip = np.array(parsed["flip_indices"])
    np.testing.assert_array_equal(flip[flip], np.arange(26))
    for index, partner in enumerate(flip):
        here, there = NAMES[index], NAMES[partner]
        if here[0] in "lr":
            assert there == {"l": "r", "r": "l"}[here[0]] + here[1:]
        else:
            assert there == here


def test_trunk_points_stay_in_place(parsed):
    flip = parsed["flip_indices"]
    fixed = {NAMES[index] for index in range(26) if flip[index] == index}
    assert fixed == {"nose", "neck", "withers", "back", "tail_base", "tail_end"}


def test_the_halves_are_front_and_hind(parsed):
    front = {NAMES[index] for index in parsed["upper_body_ids"]}
    hind = {NAMES[index] for index in parsed["lower_body_ids"]}
    assert front | hind == set(NAMES)
    assert not front & hind
    assert hind == {
        *("back", "tail_base", "tail_end", "l_hip", "r_hip", "l_hock", "r_hock"),
        *("lh_fetlock", "rh_fetlock", "lh_hoof", "rh_hoof"),
    }


@pytest.mark.parametrize("quantity", ["sigma", "weight"])
def test_both_sides_are_judged_alike(quantity):
    by_name = {keypoint.name: keypoint for keypoint in KEYPOINTS}
    for keypoint in KEYPOINTS:
        if keypoint.swap:
            partner = by_name[keypoint.swap]
            assert getattr(keypoint, quantity) == getattr(partner, quantity), keypoint.name


def test_sigmas_and_weights_of_one_point_a_kind(parsed):
    at = parsed["keypoint_name2id"]
    sigmas = parsed["sigmas"]
    weights = parsed["dataset_keypoint_weights"]
    expected = {
        "nose": (0.025, 1.0),
        "r_eye": (0.025, 1.0),
        "l_ear": (0.035, 0.8),
        "neck": (0.079, 1.2),
        "withers": (0.072, 1.5),
        "back": (0.079, 1.2),
        "tail_base": (0.079, 1.0),
        "tail_end": (0.089, 0.7),
        "l_elbow": (0.072, 1.3),
        "r_knee": (0.062, 1.1),
        "rf_fetlock": (0.062, 1.0),
        "lf_hoof": (0.107, 1.0),
        "r_hip": (0.087, 1.3),
        "l_hock": (0.062, 1.1),
        "lh_fetlock": (0.062, 1.0),
        "rh_hoof": (0.107, 1.0),
    }
    for name, (sigma, weight) in expected.items():
        assert sigmas[at[name]] == pytest.approx(sigma), name
        assert weights[at[name]] == pytest.approx(weight), name


def test_the_skeleton_is_symmetric(parsed):
    flip = parsed["flip_indices"]
    links = {frozenset(link) for link in parsed["skeleton_links"]}
    assert len(links) == len(LINKS) == 25
    assert {frozenset(flip[end] for end in link) for link in links} == links


def test_the_skeleton_is_a_tree_over_all_points(parsed):
    reached = {0}
    for _ in range(26):
        for link in parsed["skeleton_links"]:
            if reached & set(link):
                reached |= set(link)
    # 26 points, 25 links and every point reached: no loop and no loose part.
    assert reached == set(range(26))


def test_every_limb_runs_down_to_its_own_hoof(parsed):
    links = {
        frozenset((NAMES[start], NAMES[end])) for start, end in map(tuple, parsed["skeleton_links"])
    }
    for side in "lr":
        front = ("withers", f"{side}_elbow", f"{side}_knee", f"{side}f_fetlock", f"{side}f_hoof")
        hind = ("back", f"{side}_hip", f"{side}_hock", f"{side}h_fetlock", f"{side}h_hoof")
        for chain in (front, hind):
            for start, end in zip(chain, chain[1:], strict=False):
                assert frozenset((start, end)) in links
