import random
import re

import pytest

from equikpt.data_tools.convert import SCHEMES
from equikpt.data_tools.convert.schemes import (
    _BUILT_IN,
    NO_SCHEME,
    KeypointScheme,
    check_scheme,
    find_scheme,
)
from equikpt.data_tools.convert.targets import (
    KNOWN_SOURCES,
    complete,
    find_target,
    mapping_lines,
)
from equikpt.metainfo import correspondence
from equikpt.metainfo.horse26 import KEYPOINTS


def test_listed_schemes_are_those_that_exist_and_are_valid():
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
        pytest.param("mapping: {a: nose}\nflip: [0]\n", "'flip'", id="unknown key"),
        pytest.param("- a\n", "has keys []", id="a list"),
        # YAML 1.1 reads a bare off as false.
        pytest.param("keypoints: [off]\nmapping: {a: nose}\n", "in quotes", id="name off"),
        pytest.param("mapping: {a: 1}\n", "expected a text, found 1", id="name 1"),
        pytest.param("mapping: {off: nose}\n", "mapping: expected", id="source off"),
        pytest.param("mapping: {a: nose}\nflip_idx: [x]\n", "flip_idx[0]", id="flip_idx"),
        pytest.param("keypoints: a\nmapping: {a: nose}\n", "expected a list", id="no list"),
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
            "this that",
            {"this": "l_knee"},
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


# --- completed for a target ---

HORSE26, COCO17, OWN = (find_target(name) for name in ("horse26", "coco17", "coco"))


def completed(given, names, target=HORSE26) -> KeypointScheme:
    return complete(given, names, target)[0]


@pytest.mark.parametrize(("dataset", "known"), KNOWN_SOURCES, ids=lambda value: str(value)[:20])
def test_known_sources_need_no_mapping(dataset, known):
    """In whatever order the file has them, by the table of correspondences."""
    shuffled = tuple(random.Random(0).sample(known, len(known)))
    scheme = completed(NO_SCHEME, shuffled)
    own_of = dict(zip(known, correspondence.KEYPOINT_NAMES[dataset], strict=True))
    mapping = {own_of[name]: goal for name, goal in scheme.mapping.items()}
    assert mapping == correspondence.mapping(dataset)
    assert scheme.keypoints == shuffled


@pytest.mark.parametrize("target", [HORSE26, COCO17], ids=lambda target: target.name)
def test_equal_names_need_no_mapping_however_they_are_spelt(target):
    spelt = tuple(name.replace("_", " ").title() for name in target.names)
    assert tuple(completed(NO_SCHEME, spelt, target).mapping.values()) == target.names


NEAR_OFF = KeypointScheme(
    ("near", "off", "nose"), {"near": "l_knee", "off": "r_knee"}, flip_idx=(1, 0, 2)
)


@pytest.mark.parametrize(
    ("given", "names", "target", "said"),
    [
        pytest.param(
            {}, "nose poll", HORSE26, "no keypoint of horse26 is named poll", id="strange"
        ),
        pytest.param(
            {}, " ".join(correspondence.AP10K_FILE_NAMES), COCO17, "named neck", id="no person"
        ),
        pytest.param({}, "", HORSE26, "does not name its keypoints", id="no names"),
        pytest.param({"a": "nose"}, "nose", HORSE26, "but is not a keypoint", id="not there"),
        pytest.param({"a": "x"}, "b", OWN, "'a' is mapped but is not", id="not there to rename"),
        pytest.param({"a": "x", "b": "x"}, "b a", OWN, "two keypoints one name", id="one name"),
        pytest.param({"knee": "l_knee"}, "knee", HORSE26, "nothing to 'r_knee'", id="side unsaid"),
        pytest.param(NEAR_OFF, "muzzle off near", HORSE26, "muzzle, nose", id="other names"),
    ],
)
def test_names_that_do_not_fit_are_refused(given, names, target, said):
    given = KeypointScheme((), given) if isinstance(given, dict) else given
    with pytest.raises(ValueError, match=said):
        completed(given, tuple(names.split()), target)


def test_a_mapping_goes_over_the_names_of_the_source_in_their_order():
    given = KeypointScheme((), {"muzzle": "nose"})
    assert completed(given, ("muzzle", "ear")).keypoints == ("muzzle", "ear")
    scheme = completed(NEAR_OFF, ("nose", "off", "near"))
    assert scheme.keypoints == ("nose", "off", "near")
    assert scheme.flip_idx == (0, 2, 1)


def test_the_sources_own_names_stay_or_are_given():
    assert completed(NO_SCHEME, ("b", "a"), OWN).mapping == {"b": "b", "a": "a"}
    given = KeypointScheme((), {"a": "x"})
    scheme, target = complete(given, ("b", "a"), OWN)
    assert (scheme.mapping, target.names) == ({"a": "x"}, ("x",))


def test_a_source_may_have_one_side_only():
    assert completed(NO_SCHEME, ("nose", "l_knee")).mapping["l_knee"] == "l_knee"
    given = KeypointScheme((), {"left front knee": "l_knee"})
    assert completed(given, ("left front knee",)).mapping == given.mapping


@pytest.mark.parametrize("name", ["a\nraise", "a\x00", " ", "", "a\udce9"], ids=ascii)
@pytest.mark.parametrize("target", [HORSE26, OWN], ids=lambda target: target.name)
def test_names_that_no_file_can_hold_are_refused(name, target):
    for given, names in ((NO_SCHEME, ("nose", name)), (KeypointScheme((), {"a": name}), ("a",))):
        with pytest.raises(ValueError, match="a keypoint is named "):
            completed(given, names, target)


def test_the_report_says_why_a_point_is_not_used():
    lines = mapping_lines(find_scheme("horse10"), HORSE26)
    assert lines[0] == "14 of 26 keypoints of horse26 have a source:"
    assert "Eye (one label; it takes the side that faces the camera)" in lines[-1]


def test_an_unknown_target_is_refused():
    with pytest.raises(ValueError, match="horse26"):
        find_target("cow")
