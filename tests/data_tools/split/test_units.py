from __future__ import annotations

import numpy as np

from equikpt.core.groups import GroupRule
from equikpt.data_tools.near_duplicates import NearPair
from equikpt.data_tools.split.units import make_units

IMAGES = [dict(file_name=f"{name}.png", horse=horse) for name, horse in zip("ebcad", "xyxyz")]  # noqa: B905


def members(units) -> set[str]:
    return {
        "".join(sorted(IMAGES[i]["file_name"][0] for i in np.flatnonzero(units.of_image == unit)))
        for unit in range(len(units.names))
    }


def test_without_a_rule_each_image_is_a_unit():
    assert members(make_units(IMAGES, GroupRule())) == set("abcde")


def test_groups_and_near_duplicates_are_joined():
    assert members(make_units(IMAGES, GroupRule(key="horse"))) == {"ce", "ab", "d"}
    pair = NearPair(2, 4, 1.0, 0, False)  # c and d
    assert members(make_units(IMAGES, GroupRule(), [pair])) == {"a", "b", "e", "cd"}
    joined = make_units(IMAGES, GroupRule(key="horse"), [pair])
    assert members(joined) == {"cde", "ab"}
    assert sorted(joined.names) == ["a.png", "c.png"]


def test_a_file_listed_twice_is_one_unit():
    assert len(make_units([IMAGES[0], IMAGES[0]], GroupRule()).names) == 1


def test_sums_are_over_the_images_of_a_unit():
    units = make_units(IMAGES, GroupRule(key="horse"))
    rows = np.arange(10).reshape(5, 2)
    expected = [rows[[0, 2]].sum(0), rows[[1, 3]].sum(0), rows[4]]
    np.testing.assert_array_equal(units.sums(rows), expected)
