from __future__ import annotations

import re

import numpy as np
import pytest

from equikpt.metainfo.schema import SIDE_COLORS_RGB, Keypoint, Link, build_metainfo


def point(name: str, swap: str = "", part: str = "upper") -> Keypoint:
    return Keypoint(name, part, sigma=0.05, weight=1.0, swap=swap)


PAIR = (point("l_eye", "r_eye"), point("r_eye", "l_eye"))
FACE = (point("nose"), *PAIR)


def parse(metainfo: dict) -> dict:
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    return parse_pose_metainfo(metainfo)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"name": ""}, "empty name", id="empty name"),
        pytest.param(
            {"part": "middle"}, "'nose' has part 'middle'; expected one of upper", id="part"
        ),
        pytest.param({"sigma": 0.0}, "'nose' has sigma 0.0", id="sigma zero"),
        pytest.param({"sigma": float("nan")}, "'nose' has sigma nan", id="sigma nan"),
        pytest.param({"weight": -1.0}, "'nose' has weight -1.0", id="weight negative"),
        pytest.param({"weight": float("inf")}, "'nose' has weight inf", id="weight infinite"),
        pytest.param({"swap": "nose"}, "'nose' swaps with itself", id="self swap"),
        pytest.param({"swap": "l_nose"}, "does not say its side", id="side unknown"),
    ],
)
def test_a_wrong_keypoint_is_refused_by_name(fields, said):
    good = {"name": "nose", "part": "upper", "sigma": 0.05, "weight": 1.0}
    Keypoint(**good)
    with pytest.raises(ValueError, match=re.escape(said)):
        Keypoint(**{**good, **fields})


@pytest.mark.parametrize(
    ("keypoints", "links", "said"),
    [
        pytest.param((), (), "no keypoints", id="none"),
        pytest.param(
            (point("nose"), point("neck"), point("nose")),
            (),
            "'nose' stands in rows 0 and 2",
            id="same name twice",
        ),
        pytest.param(
            (point("l_eye", "r_eye"), point("r_eye")),
            (),
            "'l_eye' swaps with 'r_eye', but 'r_eye' swaps with nothing",
            id="one-sided swap",
        ),
        pytest.param(
            (*PAIR, point("l_ear", "r_eye"), point("r_ear", "l_ear")),
            (),
            "'l_ear' swaps with 'r_eye', but 'r_eye' swaps with 'l_eye'",
            id="crossed swap",
        ),
        pytest.param(
            (point("l_eye", "r_eyes"), point("r_eye", "l_eye")),
            (),
            "'l_eye' swaps with 'r_eyes', which is not a keypoint",
            id="misspelt swap",
        ),
        pytest.param(
            (point("l_eye", "l_ear"), point("l_ear", "l_eye")),
            (),
            "'l_eye' and 'l_ear' swap, but both are named as left",
            id="swap on one side",
        ),
        pytest.param(FACE, (Link("nose", "poll"),), "'nose'–'poll' names 'poll'", id="unknown end"),
        pytest.param(
            FACE,
            (Link("nose", "l_eye"), Link("l_eye", "nose")),
            "'l_eye'–'nose' repeats 'nose'–'l_eye'",
            id="link twice, other way round",
        ),
    ],
)
def test_a_wrong_table_is_refused_and_both_parties_named(keypoints, links, said):
    build_metainfo("face", FACE, (Link("nose", "l_eye"),))
    with pytest.raises(ValueError, match=re.escape(said)):
        build_metainfo("face", keypoints, links)


def test_a_link_to_itself_is_refused():
    with pytest.raises(ValueError, match="joins 'nose' with itself"):
        Link("nose", "nose")


def test_an_empty_dataset_name_is_refused():
    with pytest.raises(ValueError, match="dataset name is empty"):
        build_metainfo("", FACE)


def test_mmpose_reads_what_was_built():
    keypoints = (
        Keypoint("nose", "upper", sigma=0.025, weight=1.5),
        Keypoint("l_hip", "lower", sigma=0.087, weight=0.5, swap="r_hip"),
        Keypoint("r_hip", "lower", sigma=0.086, weight=0.25, swap="l_hip"),
    )
    parsed = parse(build_metainfo("tiny", keypoints, (Link("nose", "r_hip"),)))

    assert parsed["dataset_name"] == "tiny"
    assert parsed["num_keypoints"] == 3
    assert parsed["keypoint_id2name"] == {0: "nose", 1: "l_hip", 2: "r_hip"}
    assert parsed["flip_indices"] == [0, 2, 1]
    assert parsed["upper_body_ids"] == [0]
    assert parsed["lower_body_ids"] == [1, 2]
    assert parsed["skeleton_links"] == [(0, 2)]
    np.testing.assert_allclose(parsed["sigmas"], [0.025, 0.087, 0.086])
    np.testing.assert_allclose(parsed["dataset_keypoint_weights"], [1.5, 0.5, 0.25])


@pytest.mark.parametrize(
    ("link", "side"),
    [
        pytest.param(Link("nose", "l_eye"), "left", id="middle to left"),
        pytest.param(Link("nose", "r_eye"), "right", id="middle to right"),
        pytest.param(Link("l_eye", "r_eye"), "middle", id="across"),
    ],
)
def test_links_are_coloured_by_side(link, side):
    metainfo = build_metainfo("face", FACE, (link,))
    assert tuple(metainfo["skeleton_info"][0]["color"]) == SIDE_COLORS_RGB[side]


def test_keypoints_are_coloured_by_side():
    colours = [tuple(row["color"]) for row in build_metainfo("f", FACE)["keypoint_info"].values()]
    assert colours == [SIDE_COLORS_RGB[side] for side in ("middle", "left", "right")]
    assert len(set(colours)) == 3


def test_paper_info_is_kept_and_may_be_absent():
    assert "paper_info" not in build_metainfo("face", FACE)
    assert build_metainfo("face", FACE, paper_info={"year": "2021"})["paper_info"] == {
        "year": "2021"
    }
