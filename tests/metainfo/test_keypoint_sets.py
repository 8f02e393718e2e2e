from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import mmengine
import mmpose
import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from equikpt.metainfo import coco17, horse26, p1p2

# Of horse26. The order is the file format of the users' annotations, written out here a second
# time so that a reordered table fails.
NAMES = [
    *("nose", "l_eye", "r_eye", "l_ear", "r_ear", "neck", "withers", "back", "tail_base"),
    *("tail_end", "l_elbow", "r_elbow", "l_knee", "r_knee", "lf_fetlock", "rf_fetlock"),
    *("lf_hoof", "rf_hoof", "l_hip", "r_hip", "l_hock", "r_hock", "lh_fetlock", "rh_fetlock"),
    *("lh_hoof", "rh_hoof"),
]
HIND = [*NAMES[7:10], *NAMES[18:]]
SIGMA_AND_WEIGHT = {  # of one side
    **{"nose": (0.025, 1.0), "l_eye": (0.025, 1.0), "l_ear": (0.035, 0.8), "neck": (0.079, 1.2)},
    **{"withers": (0.072, 1.5), "back": (0.079, 1.2), "tail_base": (0.079, 1.0)},
    **{"tail_end": (0.089, 0.7), "l_elbow": (0.072, 1.3), "l_knee": (0.062, 1.1)},
    **{"lf_fetlock": (0.062, 1.0), "lf_hoof": (0.107, 1.0), "l_hip": (0.087, 1.3)},
    **{"l_hock": (0.062, 1.1), "lh_fetlock": (0.062, 1.0), "lh_hoof": (0.107, 1.0)},
}


@pytest.fixture(scope="module")
def parsed() -> dict:
    return parse_pose_metainfo(horse26.METAINFO)


def other_side(name: str) -> str:
    return {"l": "r", "r": "l"}.get(name[0], name[0]) + name[1:]


def test_the_26_names_stand_in_the_order_of_the_file_format(parsed):
    assert list(parsed["keypoint_id2name"].items()) == list(enumerate(NAMES))


def test_a_flip_exchanges_l_and_r_and_nothing_else(parsed):
    assert [NAMES[partner] for partner in parsed["flip_indices"]] == [*map(other_side, NAMES)]


def test_the_halves_are_front_and_hind(parsed):
    assert [NAMES[index] for index in parsed["lower_body_ids"]] == HIND
    assert sorted(parsed["upper_body_ids"] + parsed["lower_body_ids"]) == list(range(26))


def test_sigmas_and_weights_of_both_sides(parsed):
    found = zip(parsed["sigmas"], parsed["dataset_keypoint_weights"], strict=True)
    expected = SIGMA_AND_WEIGHT | {other_side(k): v for k, v in SIGMA_AND_WEIGHT.items()}
    np.testing.assert_allclose(list(found), [expected[name] for name in NAMES])


def test_the_skeleton_is_a_symmetric_tree_over_all_points(parsed):
    flip, links = parsed["flip_indices"], {frozenset(link) for link in parsed["skeleton_links"]}
    assert {frozenset(flip[end] for end in link) for link in links} == links
    reached = {0}
    for _ in range(26):
        reached |= {end for link in links if reached & link for end in link}
    # 26 points, 25 links and every point reached: no loop and no loose part
    assert (len(links), reached) == (25, set(range(26)))


def test_every_limb_runs_down_to_its_own_hoof(parsed):
    links = {frozenset(NAMES[end] for end in link) for link in parsed["skeleton_links"]}
    for side in "lr":
        front = ("withers", f"{side}_elbow", f"{side}_knee", f"{side}f_fetlock", f"{side}f_hoof")
        hind = ("back", f"{side}_hip", f"{side}_hock", f"{side}h_fetlock", f"{side}h_hoof")
        assert {frozenset(ends) for chain in (front, hind) for ends in pairwise(chain)} <= links


def test_coco17_is_what_mmpose_ships():
    """Order, flips, halves, links, weights and sigmas; MMPose's own file is the reference."""
    own = Path(mmpose.__file__).parent / ".mim/configs/_base_/datasets/coco.py"
    theirs = parse_pose_metainfo(mmengine.Config.fromfile(own).dataset_info.to_dict())
    ours = parse_pose_metainfo(coco17.METAINFO)
    for key in ("keypoint_id2name", "flip_indices", "upper_body_ids", "lower_body_ids"):
        assert ours[key] == theirs[key]
    links = [{frozenset(link) for link in each["skeleton_links"]} for each in (ours, theirs)]
    assert links[0] == links[1]
    for key in ("dataset_keypoint_weights", "sigmas"):
        np.testing.assert_allclose(ours[key], theirs[key])


def test_the_marks_of_p1p2_stay_lower_and_upper_end_under_a_flip():
    marks = parse_pose_metainfo(p1p2.METAINFO)
    assert (marks["keypoint_id2name"], marks["skeleton_links"]) == ({0: "p1", 1: "p2"}, [(0, 1)])
    assert marks["flip_indices"] == [0, 1]
    assert (marks["lower_body_ids"], marks["upper_body_ids"]) == ([0], [1])
