import numpy as np

from equikpt.suggestions.choice import FLOOR, choose, informativeness, ranks

# around (0, 0) 4, around (10, 0) 6 and around (0, 10) 3 images, and one far from all
PLACES = [(0, 0)] * 4 + [(10, 0)] * 6 + [(0, 10)] * 3 + [(60, 60)]
IMAGES = np.array(PLACES) + np.random.default_rng(0).normal(0, 0.3, (14, 2))
GROUP = np.array([0] * 4 + [1] * 6 + [2] * 3 + [3])
HERE = IMAGES[:1]


def groups(chosen: list[int]) -> list[int]:
    return GROUP[chosen].tolist()


def test_the_largest_group_without_labels_comes_first_and_the_odd_one_last():
    assert groups(choose(IMAGES, np.ones(14), HERE, 3)) == [1, 2, 3]


def test_a_group_that_the_model_is_unsure_of_outdoes_a_larger_one():
    weights = np.where(GROUP == 2, 1.0, FLOOR)
    assert groups(choose(IMAGES, weights, HERE, 2)) == [2, 1]


def test_without_labelled_images_the_largest_group_begins():
    assert groups(choose(IMAGES, np.ones(14), np.zeros((0, 2)), 4))[:3] == [1, 0, 2]


def test_where_all_is_covered_the_weight_decides():
    same = np.zeros((3, 2))
    assert choose(same, np.array([0.3, 1.0, 0.5]), same, 3) == [1, 2, 0]


def test_neither_known_ones_nor_two_of_a_kind():
    similar = {index: {4, 5, 6, 7, 8, 9} - {index} for index in range(4, 10)}
    chosen = choose(IMAGES, np.ones(14), HERE, 14, similar, excluded={0, 13})
    assert sorted(groups(chosen)) == [0, 0, 0, 1, 2, 2, 2]
    assert not {0, 13} & set(chosen)


def test_ranks_know_no_unit_and_missing_values_are_low():
    np.testing.assert_allclose(ranks(np.array([1e6, np.nan, -3, 0])), [1, 0, 1 / 3, 2 / 3])
    ties = ranks(np.array([0.0, 0, 0, 7]))
    np.testing.assert_allclose(ties, [0, 0, 0, 1])


def test_criteria_that_tell_nothing_do_not_count():
    told = dict(a=np.array([3.0, 1, 2]), b=np.zeros(3))
    np.testing.assert_allclose(informativeness(told), FLOOR + (1 - FLOOR) * np.array([1, 0, 0.5]))
    np.testing.assert_allclose(informativeness(dict(b=np.zeros(3))), 1)
