from __future__ import annotations

import re

import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from equikpt.metainfo.schema import SIDE_COLORS_RGB, Keypoint, Link, build_metainfo


def point(name: str, swap: str = "", part: str = "upper") -> Keypoint:
    return Keypoint(name, part, sigma=0.05, weight=1.0, swap=swap)


def sided(name: str, swap: str, side: str) -> Keypoint:
    return Keypoint(name, "", sigma=0.05, weight=1.0, swap=swap, side=side)


PAIR = (point("l_eye", "r_eye"), point("r_eye", "l_eye"))
FACE = (point("nose"), *PAIR)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "empty name"),
        ({"part": "middle"}, "'nose' has part 'middle'; expected upper"),
        ({"sigma": 0.0}, "'nose' has sigma 0.0"),
        ({"sigma": float("nan")}, "'nose' has sigma nan"),
        ({"weight": -1.0}, "'nose' has weight -1.0"),
        ({"weight": float("inf")}, "'nose' has weight inf"),
        ({"swap": "nose"}, "'nose' swaps with itself"),
        ({"swap": "l_nose"}, "does not say its side"),
        ({"side": "top"}, "'nose' has side 'top'; expected left, right or middle"),
    ],
    ids=str,
)
def test_a_wrong_keypoint_is_refused_by_name(fields, message):
    good = {"name": "nose", "part": "upper", "sigma": 0.05, "weight": 1.0}
    Keypoint(**good)
    with pytest.raises(ValueError, match=re.escape(message)):
        Keypoint(**{**good, **fields})


TABLES = {
    "none": ((), (), "no keypoints"),
    "same name twice": (
        (point("nose"), point("neck"), point("nose")),
        (),
        "'nose' stands in rows 0 and 2",
    ),
    "one-sided swap": (
        (point("l_eye", "r_eye"), point("r_eye")),
        (),
        "'l_eye' swaps with 'r_eye', but 'r_eye' swaps with nothing",
    ),
    "crossed swap": (
        (*PAIR, point("l_ear", "r_eye"), point("r_ear", "l_ear")),
        (),
        "'l_ear' swaps with 'r_eye', but 'r_eye' swaps with 'l_eye'",
    ),
    "misspelt swap": (
        (point("l_eye", "r_eyes"), point("r_eye", "l_eye")),
        (),
        "'l_eye' swaps with 'r_eyes', which is not a keypoint",
    ),
    "swap on one side": (
        (sided("A", "B", "left"), sided("B", "A", "left")),
        (),
        "'A' and 'B' swap, but both are of the left side",
    ),
    "unknown end": (FACE, (Link("nose", "poll"),), "'nose'–'poll' names 'poll'"),
    "link twice": (
        FACE,
        (Link("nose", "l_eye"), Link("l_eye", "nose")),
        "'l_eye'–'nose' repeats 'nose'–'l_eye'",
    ),
}


@pytest.mark.parametrize(("keypoints", "links", "message"), TABLES.values(), ids=list(TABLES))
def test_a_wrong_table_is_refused_and_both_parties_named(keypoints, links, message):
    build_metainfo("face", FACE, (Link("nose", "l_eye"),))
    with pytest.raises(ValueError, match=re.escape(message)):
        build_metainfo("face", keypoints, links)


def test_a_link_to_itself_and_an_empty_dataset_name_are_refused():
    with pytest.raises(ValueError, match="joins 'nose' with itself"):
        Link("nose", "nose")
    with pytest.raises(ValueError, match="dataset name is empty"):
        build_metainfo("", FACE)


def test_mmpose_reads_what_was_built():
    keypoints = (
        Keypoint("nose", "upper", sigma=0.025, weight=1.5),
        Keypoint("l_hip", "lower", sigma=0.087, weight=0.5, swap="r_hip"),
        Keypoint("r_hip", "lower", sigma=0.086, weight=0.25, swap="l_hip"),
    )
    parsed = parse_pose_metainfo(build_metainfo("tiny", keypoints, (Link("nose", "r_hip"),)))

    assert parsed["dataset_name"] == "tiny"
    assert parsed["num_keypoints"] == 3
    assert parsed["keypoint_id2name"] == {0: "nose", 1: "l_hip", 2: "r_hip"}
    assert parsed["flip_indices"] == [0, 2, 1]
    assert parsed["upper_body_ids"] == [0]
    assert parsed["lower_body_ids"] == [1, 2]
    assert parsed["skeleton_links"] == [(0, 2)]
    np.testing.assert_allclose(parsed["sigmas"], [0.025, 0.087, 0.086])
    np.testing.assert_allclose(parsed["dataset_keypoint_weights"], [1.5, 0.5, 0.25])


def test_keypoints_and_links_are_coloured_by_side():
    links = (Link("nose", "l_eye"), Link("nose", "r_eye"), Link("l_eye", "r_eye"))
    metainfo = build_metainfo("face", FACE, links)
    for info, sides in (
        ("keypoint_info", ("middle", "left", "right")),
        ("skeleton_info", ("left", "right", "middle")),
    ):
        colours = [tuple(row["color"]) for row in metainfo[info].values()]
        assert colours == [SIDE_COLORS_RGB[side] for side in sides]
        assert len({*colours}) == 3


def test_paper_info_is_kept_and_may_be_absent():
    assert "paper_info" not in build_metainfo("face", FACE)
    assert build_metainfo("face", FACE, paper_info={"year": "2021"})["paper_info"] == {
        "year": "2021"
    }


@pytest.mark.parametrize(
    ("one", "other", "sides"),
    [
        (point("ohr_rechts", "ohr_links"), point("ohr_links", "ohr_rechts"), ("right", "left")),
        (point("l1", "r1"), point("r1", "l1"), ("left", "right")),
        (sided("pt2", "pt1", "right"), sided("pt1", "pt2", "left"), ("right", "left")),
    ],
    ids=["in German", "by letters", "stated"],
)
def test_sides_by_name_and_by_hand(one, other, sides):
    metainfo = build_metainfo("pair", (one, other, point("nose")))
    colours = [tuple(row["color"]) for row in metainfo["keypoint_info"].values()]
    assert colours == [SIDE_COLORS_RGB[side] for side in (*sides, "middle")]


@pytest.mark.parametrize("count", [1, 100])
def test_sets_of_one_point_and_of_a_hundred(count):
    keypoints = [Keypoint(f"p{n}", "", sigma=0.05, weight=1.0) for n in range(count)]
    parsed = parse_pose_metainfo(build_metainfo("many", keypoints))
    assert parsed["flip_indices"] == list(range(count))
    assert parsed["upper_body_ids"] == parsed["lower_body_ids"] == []
