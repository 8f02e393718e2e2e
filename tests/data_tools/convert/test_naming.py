from __future__ import annotations

import random

import pytest

from equikpt.data_tools.convert.naming import KNOWN_SOURCES, flip_of, mapping_lines, settle_scheme
from equikpt.data_tools.convert.schemes import NO_SCHEME, KeypointScheme, find_scheme
from equikpt.data_tools.convert.targets import find_target
from equikpt.metainfo import coco17, correspondence, horse26

HORSE26, COCO17, OWN = (find_target(name) for name in ("horse26", "coco17", "coco"))


@pytest.mark.parametrize(("dataset", "known"), KNOWN_SOURCES, ids=lambda value: str(value)[:20])
def test_known_sources_need_no_mapping(dataset, known):
    """In whatever order the file has them, by the table of correspondences."""
    shuffled = random.Random(0).sample(known, len(known))
    scheme = settle_scheme(NO_SCHEME, tuple(shuffled), HORSE26)
    place = {name: index for index, name in enumerate(known)}
    own = correspondence.KEYPOINT_NAMES[dataset]
    expected = correspondence.mapping(dataset)
    assert {own[place[name]]: goal for name, goal in scheme.mapping.items()} == expected
    assert scheme.keypoints == tuple(shuffled)


@pytest.mark.parametrize(
    ("target", "keypoints"),
    [(HORSE26, horse26.KEYPOINTS), (COCO17, coco17.KEYPOINTS)],
    ids=["horse26", "coco17"],
)
def test_equal_names_need_no_mapping_however_they_are_spelt(target, keypoints):
    spelt = tuple(row.name.replace("_", " ").title() for row in keypoints)
    scheme = settle_scheme(NO_SCHEME, spelt, target)
    assert list(scheme.mapping.values()) == [row.name for row in keypoints]


def test_other_names_need_one():
    with pytest.raises(
        ValueError, match="no keypoint of horse26 is named poll; say in a --mapping"
    ):
        settle_scheme(NO_SCHEME, ("nose", "poll"), HORSE26)
    # AP-10K's names are no person's.
    with pytest.raises(ValueError, match="no keypoint of coco17 is named neck"):
        settle_scheme(NO_SCHEME, correspondence.AP10K_FILE_NAMES, COCO17)
    with pytest.raises(ValueError, match="does not name its keypoints"):
        settle_scheme(NO_SCHEME, (), HORSE26)


def test_a_mapping_alone_goes_over_the_names_of_the_source():
    given = KeypointScheme((), {"muzzle": "nose"})
    assert settle_scheme(given, ("muzzle", "ear"), HORSE26).keypoints == ("muzzle", "ear")
    with pytest.raises(ValueError, match="'muzzle' is mapped to 'nose' but is not a keypoint"):
        settle_scheme(given, ("nose",), HORSE26)


def test_a_mapping_with_names_follows_the_order_of_the_source():
    given = KeypointScheme(
        ("near", "off", "nose"), {"near": "l_knee", "off": "r_knee"}, flip_idx=(1, 0, 2)
    )
    scheme = settle_scheme(given, ("nose", "off", "near"), HORSE26)
    assert scheme.keypoints == ("nose", "off", "near")
    assert scheme.flip_idx == (0, 2, 1)
    with pytest.raises(ValueError, match="other keypoints than the source: muzzle, nose"):
        settle_scheme(given, ("muzzle", "off", "near"), HORSE26)


def test_the_sources_own_names_stay_or_are_given():
    assert settle_scheme(NO_SCHEME, ("b", "a"), OWN).mapping == {"b": "b", "a": "a"}
    given = KeypointScheme((), {"a": "x"})
    assert settle_scheme(given, ("b", "a"), OWN).mapping == {"a": "x"}
    with pytest.raises(ValueError, match="'a' is mapped but is not"):
        settle_scheme(given, ("b",), OWN)
    with pytest.raises(ValueError, match="two keypoints one name"):
        settle_scheme(KeypointScheme((), {"a": "x", "b": "x"}), ("b", "a"), OWN)


def test_a_source_may_have_one_side_only():
    assert settle_scheme(NO_SCHEME, ("nose", "l_knee"), HORSE26).mapping["l_knee"] == "l_knee"
    given = KeypointScheme((), {"left front knee": "l_knee"})
    assert settle_scheme(given, ("left front knee",), HORSE26).mapping == given.mapping
    # A name without a side may be either.
    with pytest.raises(ValueError, match="nothing to 'r_knee'"):
        settle_scheme(KeypointScheme((), {"knee": "l_knee"}), ("knee",), HORSE26)


@pytest.mark.parametrize("name", ["a\nraise", "a\x00", " ", "", "a\udce9"], ids=ascii)
@pytest.mark.parametrize("target", ["horse26", "coco"])
def test_names_that_no_file_can_hold_are_refused(name, target):
    with pytest.raises(ValueError, match="a keypoint is named "):
        settle_scheme(NO_SCHEME, ("nose", name), find_target(target))
    if target == "coco":
        renamed = KeypointScheme((), {"nose": name})
        with pytest.raises(ValueError, match="a keypoint is named "):
            settle_scheme(renamed, ("nose",), find_target(target))


def test_flips_of_names():
    assert flip_of(("nose", "l_eye", "r_eye")) == (0, 2, 1)
    flip = flip_of(correspondence.HORSE10)
    pairs = {(correspondence.HORSE10[a], correspondence.HORSE10[b]) for a, b in enumerate(flip)}
    assert ("Nearknee", "Offknee") in pairs
    assert ("Offhindfoot", "Nearhindfoot") in pairs
    assert ("Eye", "Eye") in pairs
    assert sum(a != b for a, b in pairs) == 12


def test_the_report_says_why_a_point_is_not_used():
    lines = mapping_lines(find_scheme("horse10"), HORSE26)
    assert lines[0] == "14 of 26 keypoints of horse26 have a source:"
    assert "Eye (one label; it takes the side that faces the camera)" in lines[-1]
