import json

import pytest

from equikpt.gait.names import match_names, read_name_map
from equikpt.metainfo.correspondence import ANIMALPOSE, AP10K, HORSE10, HORSE26


def test_own_names_are_themselves():
    assert match_names(HORSE26) == {name: name for name in HORSE26}


@pytest.mark.parametrize(
    ("names", "role", "name"),
    [
        (AP10K, "lf_hoof", "L_F_Paw"),
        (ANIMALPOSE, "withers", "Withers"),
        (HORSE10, "rh_fetlock", "Offhindfetlock"),
        (HORSE10, "tail_base", "Ischium"),
    ],
)
def test_names_of_data_sets_are_known(names, role, name):
    assert match_names(names)[role] == name


def test_a_point_with_one_name_is_on_the_side_that_is_seen():
    assert "l_eye" not in match_names(HORSE10)
    for side, role in (("left", "l_eye"), ("right", "r_eye")):
        found = match_names(HORSE10, camera_side=side)
        assert [key for key, name in found.items() if name == "Eye"] == [role]


@pytest.mark.parametrize(
    ("names", "chosen", "said"),
    [
        (("a", "b"), None, "name them in a file"),
        (HORSE26, {"huf": "lf_hoof"}, "no role"),
        (HORSE26, {"lf_hoof": "lf_hoof", "rf_hoof": "lf_hoof"}, "twice"),
        (HORSE26, {"lf_hoof": "huf"}, "no keypoint 'huf'"),
        (HORSE26, {"lf_hoof": "lf_hoof", "withers": "withers"}, "name them in a file"),
    ],
)
def test_too_little_is_refused(names, chosen, said):
    with pytest.raises(ValueError, match=said):
        match_names(names, chosen)


def test_names_of_ones_own_come_from_a_file(tmp_path):
    path = tmp_path / "names.json"
    own = {"withers": "Widerrist", "nose": "Nase", "lf_hoof": "Huf VL"}
    path.write_text(json.dumps(own))
    assert match_names([*own.values(), "Sattel"], read_name_map(path)) == own
    path.write_text('{"withers": 3}')
    with pytest.raises(ValueError, match="other things than names"):
        read_name_map(path)
