from __future__ import annotations

import numpy as np
import pytest

from equikpt.evaluation.functional.ranking import average_precision, roc_auc


def precision_of_all(scores: np.ndarray, positive: np.ndarray) -> float:
    return average_precision(positive, scores, int(positive.sum()))


MEASURES = [roc_auc, precision_of_all]


def draw(seed: int, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    positive = rng.uniform(size=count) < 0.3
    return rng.normal(positive, 1).round(1), positive  # rounded: with ties


def test_the_area_is_the_fraction_of_pairs_in_order():
    scores, positive = draw(0)
    gaps = scores[positive][:, None] - scores[~positive]
    assert roc_auc(scores, positive) == pytest.approx((gaps > 0).mean() + (gaps == 0).mean() / 2)


@pytest.mark.parametrize("measure", MEASURES)
def test_only_the_order_counts_and_not_that_of_equal_scores(measure):
    scores, positive = draw(1)
    order = np.random.default_rng(2).permutation(len(scores))
    assert measure(np.exp(scores), positive) == pytest.approx(measure(scores, positive))
    assert measure(scores[order], positive[order]) == pytest.approx(measure(scores, positive))


@pytest.mark.parametrize("measure", MEASURES)
def test_one_score_for_all_says_nothing(measure):
    positive = np.arange(10) < 3
    assert measure(np.zeros(10), positive) == pytest.approx(0.5 if measure is roc_auc else 0.3)


def test_nothing_to_tell_apart():
    assert np.isnan(roc_auc(np.ones(3), np.ones(3, bool)))
    assert np.isnan(precision_of_all(np.ones(3), np.zeros(3, bool)))
