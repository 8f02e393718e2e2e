from __future__ import annotations

import pytest

from equikpt.data_tools.split.division import Division

SOUND = [
    (Division(ratios=(0.8, 0.1, 0.1)), ("train", "val", "test"), (16, 2, 2)),
    (Division(ratios=(0.5, 0.5)), ("train", "val"), (10, 10)),
    (Division(counts=(12, 5, 3)), ("train", "val", "test"), (12, 5, 3)),
    (Division(counts=("rest", 5)), ("train", "val"), (15, 5)),
    (Division(folds=3), ("fold_0", "fold_1", "fold_2"), (7, 7, 6)),
]


@pytest.mark.parametrize(("division", "names", "targets"), SOUND)
def test_names_and_sizes_of_twenty_images(division, names, targets):
    assert division.names() == names
    assert tuple(division.targets(20)) == targets


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "one of them"),
        (dict(ratios=(0.5, 0.5), folds=3), "one of them"),
        (dict(ratios=(0.8, 0.1)), "whose sum is 1"),
        (dict(ratios=(1.2, -0.2)), "above 0"),
        (dict(ratios=(1.0,)), "got 1"),
        (dict(counts=(1, 2, 3, 4)), "got 4"),
        (dict(counts=(0, 20)), "counts above 0"),
        (dict(counts=("rest", "rest")), "one of which may be"),
        (dict(folds=1), "two folds or more"),
        (dict(folds=0), "two folds or more"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Division(**options)


@pytest.mark.parametrize(
    "division",
    [Division(counts=(12, 5)), Division(counts=(12, 9)), Division(counts=("rest", 20)),
     Division(folds=21)],
    ids=["too few", "too many", "nothing left", "too many folds"],
)  # fmt: skip
def test_counts_that_do_not_divide_the_set_are_refused(division):
    with pytest.raises(ValueError, match="20 images"):
        division.targets(20)
