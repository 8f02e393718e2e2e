from __future__ import annotations

import re

import pytest

from equikpt.data_tools.convert import SCHEMES
from equikpt.data_tools.convert.schemes import (
    _BUILT_IN,
    KeypointScheme,
    check_scheme,
    find_scheme,
    partner_name,
    side_of,
)
from equikpt.metainfo.horse26 import KEYPOINTS


@pytest.mark.parametrize(
    ("name", "side", "partner"),
    [
        ("l_knee", "left", "r_knee"),
        ("R_F_Paw", "right", "L_F_Paw"),
        ("lf_hoof", "left", "rf_hoof"),
        ("rh_hoof", "right", "lh_hoof"),
        ("left_eye", "left", "right_eye"),
        ("KneeLeft", "left", "KneeRight"),
        ("LEFT_EYE", "left", "RIGHT_EYE"),
        # Names that begin with l or r by chance.
        ("rump", "", "rump"),
        ("lower_lip", "", "lower_lip"),
        ("nose", "", "nose"),
        ("Root of tail", "", "Root of tail"),
    ],
)
def test_sides_are_read_from_names(name, side, partner):
    assert side_of(name) == side
    assert partner_name(name) == partner
    assert partner_name(partner) == name


def test_the_partner_of_every_target_is_its_swap():
    for keypoint in KEYPOINTS:
        assert partner_name(keypoint.name) == (keypoint.swap or keypoint.name)


def test_listed_schemes_are_those_that_exist_and_are_sound():
    assert set(SCHEMES) == set(_BUILT_IN)
    for name in SCHEMES:
        check_scheme(find_scheme(name), KEYPOINTS)


def test_twelve_points_of_the_public_set_correspond():
    scheme = find_scheme("horses16")
    assert len(scheme.keypoints) == 16
    assert len(scheme.mapping) == 12
    assert not {"poll", "croup"} & set(scheme.mapping)
    assert find_scheme("horses16_stifle").mapping == {
        **scheme.mapping,
        "l_stifle": "l_hip",
        "r_stifle": "r_hip",
    }


def test_the_right_flip_of_the_public_set():
    expected = (0, 14, 4, 5, 2, 3, 6, 15, 10, 11, 8, 9, 12, 13, 1, 7)
    assert find_scheme("horses16").right_flip_idx() == expected


def test_a_flip_that_is_given_goes_before_names():
    scheme = KeypointScheme(("near", "off"), {"near": "l_knee", "off": "r_knee"}, flip_idx=(1, 0))
    assert scheme.right_flip_idx() == (1, 0)
    check_scheme(scheme, KEYPOINTS)


def test_a_yaml_file_is_read(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(
        "keypoints: [nose, near, 'off']\nmapping: {near: l_knee, 'off': r_knee}\n"
        "flip_idx: [0, 2, 1]\nclasses: [horse]\n"
    )
    assert find_scheme(str(path)) == KeypointScheme(
        ("nose", "near", "off"), {"near": "l_knee", "off": "r_knee"}, (0, 2, 1), ("horse",)
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("keypoints: [", "is not YAML", id="no yaml"),
        pytest.param("keypoints: [a]\n", "has keys ['keypoints']", id="no mapping"),
        pytest.param("keypoints: [a]\nmapping: {a: nose}\nflip: [0]\n", "'flip'", id="unknown key"),
        pytest.param("- a\n", "has keys []", id="a list"),
        # YAML 1.1 reads a bare off as false.
        pytest.param("keypoints: [off]\nmapping: {a: nose}\n", "has False", id="name off"),
        pytest.param("keypoints: [a]\nmapping: {a: 1}\n", "has 1 where", id="name 1"),
        pytest.param(
            "keypoints: [a]\nmapping: {a: nose}\nflip_idx: [x]\n", "flip_idx ['x']", id="flip_idx"
        ),
        pytest.param("keypoints: a\nmapping: {a: nose}\n", "must be a list", id="no list"),
    ],
)
def test_what_is_no_scheme_is_refused(tmp_path, text, said):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(said)):
        find_scheme(str(path))


def test_a_missing_file_lists_what_there_is():
    with pytest.raises(FileNotFoundError, match="'horses17'.*horses16"):
        find_scheme("horses17")


@pytest.mark.parametrize(
    ("keypoints", "mapping", "flip_idx", "said"),
    [
        pytest.param("a a", {"a": "nose"}, (), "keypoint 'a' occurs twice", id="name twice"),
        pytest.param(
            "a b", {"a": "nose", "b": "nose"}, (), "target 'nose' occurs", id="two to one"
        ),
        pytest.param("a", {}, (), "mapping is empty", id="empty"),
        pytest.param("a", {"b": "nose"}, (), "'b' is mapped to 'nose' but is not", id="source"),
        pytest.param("a", {"a": "noze"}, (), "'a' is mapped to 'noze', which", id="target"),
        pytest.param(
            "l_knee r_knee",
            {"l_knee": "r_knee", "r_knee": "l_knee"},
            (),
            "'l_knee' is mapped to 'r_knee', the other side",
            id="sides exchanged",
        ),
        pytest.param(
            "l_a r_a",
            {"l_a": "l_knee", "r_a": "r_hock"},
            (),
            "'l_a' flips to 'r_a', but their targets 'l_knee' and 'r_hock' are no pair",
            id="no pair",
        ),
        pytest.param(
            "near off",
            {"near": "l_knee"},
            (),
            "nothing to 'r_knee'",
            id="side unsaid",
        ),
        pytest.param(
            "a b", {"a": "l_knee", "b": "r_knee"}, (0, 1), "no pair", id="flip without a partner"
        ),
        pytest.param("a b", {"a": "l_knee", "b": "nose"}, (1, 0), "no pair", id="two kinds"),
        pytest.param("a b", {"a": "nose"}, (1, 1), "does not exchange 2", id="flip no pairs"),
        pytest.param("a b c", {"a": "nose"}, (1, 2, 0), "does not exchange 3", id="flip in a ring"),
        pytest.param("a b", {"a": "nose"}, (0,), "does not exchange 2", id="flip too short"),
    ],
)
def test_schemes_that_mix_points_up_are_refused(keypoints, mapping, flip_idx, said):
    scheme = KeypointScheme(tuple(keypoints.split()), mapping, flip_idx)
    with pytest.raises(ValueError, match=said):
        check_scheme(scheme, KEYPOINTS)


@pytest.mark.parametrize(
    ("keypoints", "mapping", "flip_idx"),
    [
        pytest.param("A6 A6_1", {"A6": "l_knee", "A6_1": "r_knee"}, (), id="both targets"),
        pytest.param("A6 A6_1", {"A6": "l_knee", "A6_1": "r_knee"}, (1, 0), id="and a flip"),
        pytest.param("A6 b", {"A6": "l_knee"}, (0, 1), id="one side, as stated"),
        pytest.param("l_a b", {"l_a": "l_knee", "b": "nose"}, (), id="one side, as named"),
        pytest.param(
            "r_knee l_knee x",
            {"r_knee": "r_knee", "x": "l_knee"},
            (),
            id="not its namesake",
        ),
    ],
)
def test_a_mapping_onto_sided_targets_defines_the_flip(keypoints, mapping, flip_idx):
    check_scheme(KeypointScheme(tuple(keypoints.split()), mapping, flip_idx), KEYPOINTS)
