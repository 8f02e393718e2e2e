from __future__ import annotations

import pytest

from equikpt.metainfo import correspondence, horse26
from equikpt.metainfo.sides import flip_by_name, pairs_by_name, side_of


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("l_knee", "left"),
        ("R_F_Paw", "right"),
        ("lf_hoof", "left"),
        ("left_eye", "left"),
        ("KneeLeft", "left"),
        ("LEFT_EYE", "left"),
        ("Ohr rechts", "right"),
        ("oreille-gauche", "left"),
        ("paw4RH_top", "right"),
        # begin with l or r, or hold letters of sides, by chance
        ("rump", ""),
        ("lower_lip", ""),
        ("nose", ""),
        ("Root of tail", ""),
        ("offset", ""),
        ("pt1", ""),
    ],
)
def test_the_side_of_a_single_name(name, side):
    assert side_of(name) == side


SURE = [
    ("left_ear", "right_ear"),
    ("left-ear", "Right Ear"),
    ("leftEar", "rightEar"),
    ("earleft", "earright"),
    ("ear.L", "ear.R"),
    ("LShoulder", "RShoulder"),
    ("lf_hoof", "rf_hoof"),
    ("paw_FL", "paw_FR"),
    ("paw2LF_top", "paw3RF_top"),  # numbers differ as well
    ("front_left_paw", "right_front_paw"),  # words in another order
    ("Nearknee", "Offknee"),
    ("ohr_links", "ohr_rechts"),
    ("Knie_li", "Knie_re"),
    ("linkes Ohr", "rechtes Ohr"),
    ("oreille_g", "oreille_d"),
    ("œil gauche", "œil droit"),
    ("œil_gauche", "oeil_droit"),
    ("Huf_VL", "Huf_VR"),
    ("sabot AG", "sabot AD"),
    ("oreja izquierda", "oreja derecha"),
    ("orecchio_sx", "orecchio_dx"),
    ("vänster öra", "höger öra"),
    ("venstre øre", "højre øre"),
    ("lewe_ucho", "prawe_ucho"),
    ("sol kulak", "sağ kulak"),
    ("левый глаз", "правый глаз"),
    ("左耳", "右耳"),
]
GUESSED = [("ear1", "ear2"), ("pt1", "pt2"), ("lknee", "rknee"), ("fuss_v", "fuss_h")]


@pytest.mark.parametrize(
    ("left", "right", "guessed"),
    [*((*pair, False) for pair in SURE), *((*pair, True) for pair in GUESSED)],
)
def test_pairs_of_many_spellings(left, right, guessed):
    """The pair is found among other names, whichever comes first."""
    assert pairs_by_name(("nose", right, "tail", left)) == ((3, 1, guessed),)
    assert flip_by_name((left, right)) == ((0, 1) if guessed else (1, 0))


@pytest.mark.parametrize(
    "names",
    [
        ("left_ear", "tail"),
        ("left_ear", "right_eye"),
        ("left_ear", "left ear 2"),
        ("upper", "lower"),
        ("point 0", "point 1", "point 2"),
        ("1_ear_left", "2_ear_right", "3_ear_right"),  # one of the right too many
    ],
)
def test_names_that_are_no_pair(names):
    assert not [pair for pair in pairs_by_name(names) if not pair.guessed]


def test_the_front_leg_is_never_the_hind_legs_partner():
    names = ("paw1LH", "paw2LF", "paw3RF", "paw4RH")
    assert flip_by_name(names) == (3, 2, 1, 0)


@pytest.mark.parametrize("known", [horse26, correspondence.AP10K, correspondence.HORSE10])
def test_known_sets(known):
    names = [point.name for point in horse26.KEYPOINTS] if known is horse26 else [*known]
    flip = flip_by_name(names)
    assert [flip[partner] for partner in flip] == list(range(len(names)))
    if known is horse26:
        assert [names[k] for k in flip] == [p.swap or p.name for p in horse26.KEYPOINTS]
    elif known is correspondence.HORSE10:
        assert flip[names.index("Nearhindfoot")] == names.index("Offhindfoot")
        assert sum(partner != index for index, partner in enumerate(flip)) == 12
    else:
        assert sum(partner != index for index, partner in enumerate(flip)) == 14
