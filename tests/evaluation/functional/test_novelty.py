from __future__ import annotations

import numpy as np
import pytest

from equikpt.evaluation.functional.novelty import LEVEL, fit_training_features, novelty_limit
from equikpt.evaluation.functional.ranking import roc_auc

D = 50


def draw(seed: int, count: int, directions: int = 5) -> np.ndarray:
    """Features that lie near a plane through the origin, the same one for each ``directions``."""
    rng, plane = np.random.default_rng(seed), np.random.default_rng(directions)
    along = rng.normal(size=(count, directions)) @ plane.normal(size=(directions, D))
    return 3 + along + 0.3 * rng.normal(size=(count, D))


def auc(fitted, others: np.ndarray) -> float:
    """Area under ROC of ``others`` against further images like those of the training."""
    scores = fitted.novelty(np.concatenate([draw(9, 300), others]))
    return roc_auc(scores, np.arange(len(scores)) >= 300)


@pytest.mark.parametrize("count", [10, 40, 300])
def test_images_off_the_plane_are_new_and_others_are_not(count):
    fitted = fit_training_features(draw(0, count), draw(1, 100), np.arange(100))
    assert auc(fitted, draw(2, 300, directions=6)) > 0.98
    assert 0.4 < auc(fitted, draw(3, 300)) < 0.6  # the control: drawn alike


def test_images_far_along_the_plane_are_new_as_well():
    fitted = fit_training_features(draw(0, 300), draw(1, 100), np.arange(100))
    middle = np.full(D, 3.0)
    assert auc(fitted, middle + 4 * (draw(2, 300) - middle)) > 0.9


def test_a_constant_feature_and_one_of_another_size_do_no_harm():
    sizes = np.logspace(-3, 3, D)
    sizes[0] = 0
    few, held_out = (draw(seed, 100) * sizes for seed in (0, 1))
    fitted = fit_training_features(few, held_out, np.arange(100))
    assert np.isfinite(fitted.novelty(held_out)).all()
    scores = fitted.novelty(np.concatenate([held_out, draw(2, 100, directions=6) * sizes]))
    assert roc_auc(scores, np.arange(200) >= 100) > 0.98


@pytest.mark.parametrize("count", [20, 150])
def test_of_further_images_as_many_are_refused_as_it_says(count):
    """By the limits of many validation sets; with few images it is a guess on the safe side."""
    rng, refused = np.random.default_rng(0), []
    for _ in range(200):
        limit, level = novelty_limit(rng.lognormal(0, 0.2, count), np.arange(count))
        refused.append(np.mean(rng.lognormal(0, 0.2, 500) > limit))
        assert level == pytest.approx(LEVEL)
    assert np.mean(refused) == pytest.approx(1 - LEVEL, abs=0.006)


def test_boxes_of_one_image_count_once():
    novelty = np.r_[np.ones(150), np.full(50, 9.0)]
    one = np.r_[np.arange(150), np.full(50, 150)]
    assert novelty_limit(novelty, one)[0] < novelty_limit(novelty, np.arange(200))[0]


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(ValueError, match="at least 5 training images"):
        fit_training_features(draw(0, 3), draw(1, 3), np.arange(3))
    broken = draw(0, 30)
    broken[3, 4] = np.nan
    with pytest.raises(ValueError, match="diverged"):
        fit_training_features(broken, draw(1, 3), np.arange(3))
