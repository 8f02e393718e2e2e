from __future__ import annotations

import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from equikpt.metainfo import infer_keypoint_set
from equikpt.metainfo.inference import guess_sigmas
from equikpt.metainfo.sides import stem_of
from tests.metainfo.stick_animals import NAMES, PAIRS, draw_poses

POSES = draw_poses()


def swaps(names, poses=POSES, **options) -> set[frozenset[str]]:
    rows = infer_keypoint_set("sticks", names, poses, **options).metainfo["keypoint_info"].values()
    return {frozenset((row["name"], row["swap"])) for row in rows if row["swap"]}


TRUE = {frozenset(pair) for pair in PAIRS}


def test_pairs_of_the_names_and_of_labels_without_names():
    assert swaps(NAMES) == TRUE
    numbers = {name: f"pt{number}" for number, name in enumerate(NAMES, 1)}
    assert swaps([*numbers.values()]) == {frozenset(map(numbers.get, pair)) for pair in PAIRS}


@pytest.mark.parametrize("one_way", [False, True], ids=["both ways", "one way"])
def test_the_pairs_that_are_there_are_no_false_alarm(one_way):
    for seed in range(3):
        assert swaps(NAMES, draw_poses(60, seed, one_way)) == TRUE


WRONG = {
    "ends": [("nose", "croup")],
    "ear and hoof": [("l_ear", "rf_hoof")],
    "crossed": [("lf_hoof", "rh_hoof"), ("rf_hoof", "lh_hoof")],
    "front and hind": [("l_elbow", "l_hock"), ("r_elbow", "r_hock")],
    "midline": [("withers", "croup")],
    "none": [],
}


@pytest.mark.parametrize("stated", WRONG.values(), ids=list(WRONG))
def test_wrong_pairs_of_the_source_are_found_and_the_right_ones_take_their_place(stated):
    found = infer_keypoint_set("sticks", NAMES, POSES, flip_pairs=stated)
    assert swaps(NAMES, flip_pairs=stated) == TRUE
    for pair in stated:
        assert any("contradict" in note and pair[0] in note for note in found.notes)


def test_names_that_lie_are_found():
    """The names of two points are exchanged in the export."""
    names = [{"l_ear": "rh_hoof", "rh_hoof": "l_ear"}.get(name, name) for name in NAMES]
    assert not swaps(names) & {frozenset(("l_ear", "r_ear")), frozenset(("lh_hoof", "rh_hoof"))}


def test_a_video_of_one_way_tells_gross_mistakes():
    assert swaps(NAMES, draw_poses(60, one_way=True), flip_pairs=[("nose", "rh_hoof")]) == TRUE


def test_the_skeleton_is_symmetric_and_joins_all():
    parsed = parse_pose_metainfo(infer_keypoint_set("sticks", NAMES, POSES).metainfo)
    links = {frozenset(link) for link in parsed["skeleton_links"]}
    flip = parsed["flip_indices"]
    assert {frozenset(flip[end] for end in link) for link in links} == links
    reached = {0}
    for _ in NAMES:
        reached |= {end for link in links if reached & link for end in link}
    assert len(reached) == len(NAMES)
    names = {frozenset(NAMES[end] for end in link) for link in links}
    assert {frozenset(("l_hock", "lh_hoof")), frozenset(("r_elbow", "rf_hoof"))} <= names


def test_the_halves_are_symmetric_and_the_head_is_above():
    parsed = parse_pose_metainfo(infer_keypoint_set("sticks", NAMES, POSES).metainfo)
    upper = {NAMES[index] for index in parsed["upper_body_ids"]}
    assert upper == {n for n in NAMES if n[1:2] in "_f" and "hock" not in n} - {"l_", "r_"} | {
        "nose",
        "withers",
    }
    assert len(parsed["upper_body_ids"]) + len(parsed["lower_body_ids"]) == len(NAMES)


def test_links_of_the_labels_stay():
    found = infer_keypoint_set("sticks", NAMES, POSES, links=[("nose", "rh_hoof")])
    assert [row["link"] for row in found.metainfo["skeleton_info"].values()] == [
        ("nose", "rh_hoof")
    ]


@pytest.mark.parametrize(
    ("names", "poses"),
    [
        (["cell"], np.zeros((0, 1, 3))),
        (["cell"], [[[4, 5, 2]], [[8, 9, 2]]]),
        (["cell"], [[[4, 5, 0]]]),
        (["l_end", "r_end"], []),
        (["head", "tail"], [[[1, 2, 2], [1, 2, 2]]]),
        ([f"p{n}" for n in range(100)], np.random.default_rng(0).uniform(0, 99, (20, 100, 3))),
        ([f"p{n}" for n in range(5)], np.zeros((3, 5, 3))),
    ],
    ids=["one, no pose", "one", "one unlabelled", "two", "coincident", "hundred", "unlabelled"],
)
def test_small_large_and_empty_sets(names, poses):
    found = infer_keypoint_set("any", names, poses)
    parsed = parse_pose_metainfo(found.metainfo)
    assert parsed["num_keypoints"] == len(names)
    assert bool(parsed["flip_pairs"]) == (names[0] == "l_end")
    assert found.metainfo["sigmas_source"].startswith("guess: ")


def test_wrong_arguments_are_sentences():
    with pytest.raises(ValueError, match=r"shape \(N, 2, 3\)"):
        infer_keypoint_set("two", ["a", "b"], np.zeros((4, 3, 3)))
    with pytest.raises(ValueError, match="a flip pair names 'c', which is not a keypoint"):
        infer_keypoint_set("two", ["a", "b"], [], flip_pairs=[("a", "c")])
    with pytest.raises(ValueError, match="two flip pairs name 'a'"):
        infer_keypoint_set("three", ["a", "b", "c"], [], flip_pairs=[("a", "b"), ("c", "a")])
    with pytest.raises(ValueError, match="two keypoints are named 'a'"):
        infer_keypoint_set("two", ["a", "a"], [])


def test_sigmas_are_of_the_set_that_knows_more():
    hoofed = [("knee",), ("hock",), ("hoof",)]
    assert guess_sigmas(hoofed)[0] == [0.062, 0.062, 0.107]  # horse26's
    assert guess_sigmas([("knee",), ("wrist",)])[0] == [0.087, 0.062]  # coco17's
    sigmas, source = guess_sigmas([("wing",)])
    assert sigmas == [0.072]
    assert source == (
        "guess: 0 of 1 as points of like names in coco17 and horse26, the others as the median of "
        "COCO's, 0.072"
    )


def test_words_of_several_languages_are_known():
    names = ("Auge", "oreille", "rodilla", "Huf", "Sprunggelenk", "Nüstern", "Flügel")
    assert (
        guess_sigmas([stem_of(name) for name in names])[0]
        == guess_sigmas(
            [(name,) for name in ("eye", "ear", "knee", "hoof", "hock", "nose", "wing")]
        )[0]
    )


def test_a_skeleton_that_leaves_points_alone_is_said():
    names, poses = ("head", "tail", "fin"), np.zeros((0, 3, 3))
    notes = infer_keypoint_set("fish", names, poses, [("head", "tail")]).notes
    assert any("1 of 3 points alone" in note for note in notes)
    whole = infer_keypoint_set("fish", names, poses, [("head", "tail"), ("tail", "fin")]).notes
    assert not any("alone" in note for note in whole)
    assert infer_keypoint_set("dot", names[:1], poses[:, :1]).notes == ()
