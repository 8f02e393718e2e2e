import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equikpt.core.groups import GroupRule
from equikpt.data_tools import split_assignment
from equikpt.data_tools.near_duplicates import NearPair
from equikpt.data_tools.split_assignment import (
    balance,
    count_images,
    deal,
    image_targets,
    instance_size_px,
    make_units,
    shuffled,
)
from tests.data_tools.test_split import NAMES, herd


@pytest.mark.parametrize(
    ("count", "ratios", "expected"),
    [
        (10, (0.8, 0.1, 0.1), (8, 1, 1)),
        (7, (1, 1, 1), (3, 2, 2)),
        (333, (0.8, 0.1, 0.1), (267, 33, 33)),
        (3, (0.98, 0.01, 0.01), (1, 1, 1)),
        (5, (0.5, 0.5), (3, 2)),
    ],
)
def test_targets_are_whole_numbers_next_to_the_ratios(count, ratios, expected):
    assert tuple(image_targets(count, ratios)) == expected


def test_the_order_is_of_names_and_seed_alone():
    names = [f"{number}.png" for number in range(50)]
    first = [names[index] for index in shuffled(names, 3)]
    again = [names[::-1][index] for index in shuffled(names[::-1], 3)]
    assert first == again
    assert sorted(first) == sorted(names)
    assert first != [names[index] for index in shuffled(names, 4)]


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 20), min_size=3, max_size=30),
    ratios=st.lists(st.floats(0.05, 1), min_size=2, max_size=3),
    seed=st.integers(0, 99),
)
def test_no_part_is_empty_and_none_is_off_by_more_than_the_largest_unit(lengths, ratios, seed):
    sizes = np.array(lengths)
    targets = image_targets(sizes.sum(), ratios)
    parts = deal(sizes, targets, shuffled([str(i) for i in range(len(sizes))], seed))
    held = np.bincount(parts, weights=sizes, minlength=len(ratios))
    assert (np.bincount(parts, minlength=len(ratios)) > 0).all()
    assert (held - targets).max() <= max(lengths)


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [((50, 30, 10, 10), (0, 0, 1, 2)), ((26, 2, 2), (0, 1, 2)), ((10, 10, 10), (0, 1, 2))],
    ids=["large units to the large part", "as the targets", "none is empty"],
)
def test_units_that_leave_one_way(lengths, expected):
    targets = image_targets(sum(lengths), (0.8, 0.1, 0.1))
    assert tuple(deal(np.array(lengths), targets, np.arange(len(lengths)))) == expected


@pytest.mark.parametrize("seed", range(5))
def test_single_images_meet_their_targets_before_and_after_balancing(seed):
    rng = np.random.default_rng(seed)
    targets, order = np.array([61, 30, 9]), rng.permutation(100)
    sizes = np.ones((100, 1), int)
    features = [sizes, rng.integers(0, 3, (100, 6)), rng.integers(0, 2, (100, 3))]
    parts = deal(sizes[:, 0], targets, order)
    for each in (parts, balance(parts, features, targets, order, seed)):
        assert np.bincount(each).tolist() == targets.tolist()


def test_dealing_is_even_chance():
    """Over many orders each image is in a part as often as the part is large."""
    rng = np.random.default_rng(0)
    targets = np.array([6, 3, 1])
    parts = [deal(np.ones(10, int), targets, rng.permutation(10)) for _ in range(2000)]
    often = [(np.array(parts) == part).mean(axis=0) for part in range(3)]
    np.testing.assert_allclose(often, np.tile(targets[:, None] / 10, 10), atol=0.05)


def imbalance(features: list[np.ndarray], parts: np.ndarray, targets: np.ndarray) -> float:
    """What the docstring says is kept small, written anew, by loops."""
    total = 0.0
    for family in features:
        for feature in family.T:
            for part, ratio in enumerate(targets / targets.sum()):
                goal = ratio * feature.sum()
                total += (feature[parts == part].sum() - goal) ** 2 / (
                    goal * feature.sum() * family.shape[1]
                )
    return total


def some_units(count: int, largest: int, seed: int):
    """Features and targets of units of up to ``largest`` images, and an order."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, largest + 1, (count, 1))
    kinds = rng.integers(0, 2, (count, 1)) * sizes
    features = [sizes, np.concatenate([rng.poisson(sizes * 0.7, (count, 5)), kinds], axis=1)]
    return features, image_targets(int(sizes.sum()), (0.7, 0.3)), rng.permutation(count)


@pytest.mark.parametrize("compared", [200, 25], ids=["all", "some"])
@pytest.mark.parametrize("largest", [1, 6], ids=["images", "groups"])
def test_balanced_parts_are_far_more_alike(monkeypatch, largest, compared):
    monkeypatch.setattr(split_assignment, "COMPARED", compared)
    features, targets, order = some_units(80, largest, seed=0)
    before = deal(features[0][:, 0], targets, order)
    after = balance(before, features, targets, order, seed=0)
    assert imbalance(features, after, targets) < 0.1 * imbalance(features, before, targets)


def test_the_order_in_which_units_are_listed_does_not_matter(monkeypatch):
    monkeypatch.setattr(split_assignment, "COMPARED", 10)
    features, targets, order = some_units(60, 3, seed=2)
    listed = np.random.default_rng(9).permutation(60)  # unit `listed[i]` is at index i
    turned = [family[listed] for family in features]
    turned_order = np.argsort(listed)[order]
    parts = deal(features[0][:, 0], targets, order)
    turned_parts = deal(turned[0][:, 0], targets, turned_order)
    np.testing.assert_array_equal(turned_parts, parts[listed])
    np.testing.assert_array_equal(
        balance(turned_parts, turned, targets, turned_order, seed=4),
        balance(parts, features, targets, order, seed=4)[listed],
    )


def test_no_swap_is_left_that_would_improve_the_balance(monkeypatch):
    monkeypatch.setattr(split_assignment, "PASSES", 20)
    features, targets, order = some_units(14, 2, seed=3)
    parts = balance(deal(features[0][:, 0], targets, order), features, targets, order, seed=0)
    lowest = imbalance(features, parts, targets)
    for a in range(14):
        for b in range(a):
            swapped = parts.copy()
            swapped[[a, b]] = swapped[[b, a]]
            assert imbalance(features, swapped, targets) >= lowest - 1e-9


def test_a_feature_that_nothing_has_changes_nothing():
    features, targets, order = some_units(30, 3, seed=1)
    parts = deal(features[0][:, 0], targets, order)
    with_it = [*features, np.zeros((30, 2), int)]
    np.testing.assert_array_equal(
        balance(parts, with_it, targets, order, 0), balance(parts, features, targets, order, 0)
    )


@pytest.mark.parametrize("unlabelled", [0, 3])
def test_what_is_counted_is_what_the_file_holds(unlabelled):
    content = herd()
    content["annotations"][0].update(iscrowd=unlabelled and 1)
    content["annotations"][1].update({"keypoints": [0] * 12} if unlabelled else {})
    if unlabelled:
        del content["annotations"][2]["keypoints"]
    counts = count_images(content["images"], content["annotations"], NAMES)
    used = content["annotations"][unlabelled:]
    for index, image in enumerate(content["images"]):
        rows = [row for row in used if row["image_id"] == image["id"]]
        values = np.array([row["keypoints"][2::3] for row in rows]).reshape(-1, 4)
        held = counts.loc[index]
        assert held["instances"].item() == len(rows)
        assert held["points"].tolist() == (values > 0).sum(axis=0).tolist()
        assert held["hidden"].item() == (values == 1).sum()
        assert held["sizes"].sum() == held["fractions"].sum() == len(rows)
    quarters = counts["sizes"].sum()
    assert quarters.min() > 0.1 * quarters.sum()
    sizes_px = np.sqrt([row["area"] for row in used])
    limit_px = np.quantile(sizes_px, 0.25)
    assert quarters.iloc[0] == (sizes_px <= limit_px).sum()
    assert quarters.index[0] == f"  up to {limit_px:.0f} px"


def test_nothing_labelled_is_counted_as_nothing():
    counts = count_images(herd()["images"], [], NAMES)
    assert counts.sum().groupby(level=0).sum().to_dict() == dict(
        images=30, instances=0, points=0, hidden=0, sizes=0, fractions=0
    )


@pytest.mark.parametrize(
    ("annotation", "size_px"),
    [
        (dict(area=400, bbox=[0, 0, 1, 1]), 20),
        (dict(area=0, bbox=[0, 0, 8, 2]), 4),
        (dict(bbox=[0, 0, -8, 2]), 0),
        ({}, 0),
    ],
    ids=["area", "box", "no box", "neither"],
)
def test_sizes_are_of_the_area_or_else_of_the_box(annotation, size_px):
    assert instance_size_px(annotation) == size_px


@pytest.mark.parametrize(
    ("key", "pairs", "expected"),
    [
        ("", [], [0, 1, 2, 3, 4]),
        ("horse", [], [0, 1, 0, 1, 2]),
        ("", [(2, 4)], [0, 1, 2, 3, 2]),
        ("horse", [(2, 4)], [0, 1, 0, 1, 0]),
    ],
    ids=["images", "groups", "near-duplicates", "both"],
)
def test_groups_and_near_duplicates_are_units(key, pairs, expected):
    images = [dict(file_name=f"{horse}{n}.png", horse=horse) for n, horse in enumerate("xyxyz")]
    near = [NearPair(*pair, 1.0, False) for pair in pairs]
    assert make_units(images, GroupRule(key), near).tolist() == expected


def test_a_file_listed_twice_is_one_unit():
    assert make_units([dict(file_name="a.png")] * 2, GroupRule()).tolist() == [0, 0]
