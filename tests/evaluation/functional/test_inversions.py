from __future__ import annotations

import numpy as np
import pytest

from equikpt.evaluation.functional.inversions import inversion_table, left_right_pairs, views_of

NAMES = ["nose", "l_elbow", "r_elbow", "l_hoof", "r_hoof"]
PAIRS = np.array([[1, 2], [3, 4]])
SIDE = np.array([[0, 0], [40, 50], [42, 50], [36, 100], [48, 98]], float)  # in mid-stride
FRONT = np.array([[50, 0], [60, 50], [40, 50], [62, 100], [38, 100]], float)
ABOVE = np.array([[0, 50], [40, 70], [40, 30], [45, 75], [45, 25]], float)
SWAP = [0, 2, 1, 4, 3]


def view(pose: np.ndarray, visibility=(2, 2, 2, 2, 2)) -> str:
    return str(views_of(pose[None], np.array([visibility]), PAIRS)[0])


def test_views():
    assert view(SIDE) == "side"
    assert view(FRONT) == "front"
    assert view(FRONT[SWAP]) == "rear"
    assert view(ABOVE) == "other"


@pytest.mark.parametrize("scale", [0.01, 300.0])
@pytest.mark.parametrize("pose", [SIDE, FRONT, ABOVE], ids=["side", "front", "above"])
def test_views_do_not_depend_on_size_and_place(pose, scale):
    assert view(scale * pose + 70) == view(pose)


def test_a_mirrored_animal_is_seen_from_the_same_side():
    for pose in (SIDE, FRONT, FRONT[SWAP], ABOVE):
        assert view((pose * [-1, 1])[SWAP]) == view(pose)


def test_a_single_pair_tells_no_view():
    assert view(FRONT, (2, 2, 2, 0, 2)) == "other"
    assert view(FRONT, (0, 0, 0, 0, 0)) == "other"


def test_points_without_a_label_are_not_looked_at():
    hidden = FRONT.copy()
    hidden[0] = 1e6
    assert view(hidden, (0, 2, 2, 1, 2)) == "front"


def test_left_is_what_the_name_says_and_else_the_first():
    assert left_right_pairs(NAMES, SWAP).tolist() == PAIRS.tolist()
    swapped_names = ["nose", "r_elbow", "l_elbow", "r_hoof", "l_hoof"]
    assert left_right_pairs(swapped_names, SWAP).tolist() == PAIRS[:, ::-1].tolist()
    assert left_right_pairs(["1", "2", "3", "4", "5"], SWAP).tolist() == PAIRS.tolist()
    assert left_right_pairs(["1", "2"], [0, 1]).shape == (0, 2)


INVERTED = np.array(
    [[np.nan, 1, 0, 0, 0], [np.nan, 0, 0, 1, 1], [np.nan, 0, 0, 0, 0], [np.nan] * 5]
)
VIEWS = np.array(["side", "front", "front", "rear"])


def test_rates_by_view():
    table = inversion_table(INVERTED, VIEWS, np.arange(4)).set_index("view")
    assert table.index.tolist() == ["all", "side", "front"]  # none was told from the rear
    assert table["points"].tolist() == [12, 4, 8]
    assert table["inverted"].tolist() == [3, 1, 2]
    assert table["rate"].tolist() == [0.25, 0.25, 0.25]


def test_one_view_is_one_row_and_no_pair_is_none():
    assert inversion_table(INVERTED, np.full(4, "side"), np.arange(4))["view"].tolist() == ["all"]
    assert inversion_table(np.full((4, 4), np.nan), VIEWS, np.arange(4), 10).empty


def test_intervals_draw_whole_clusters():
    """Copies of one image say no more than the image does."""
    copies = np.repeat(INVERTED[:3], 5, axis=0)
    views = np.full(15, "side")
    wide, narrow = (
        inversion_table(copies, views, clusters, resamples=300).iloc[0]
        for clusters in (np.repeat(np.arange(3), 5), np.arange(15))
    )
    for row in (wide, narrow):
        assert row["rate_low"] < row["rate"] < row["rate_high"]
    assert wide["rate_high"] - wide["rate_low"] > 1.5 * (narrow["rate_high"] - narrow["rate_low"])
    alone = inversion_table(copies, views, np.zeros(15, int), resamples=10).iloc[0]
    assert np.isnan(alone["rate_low"])
