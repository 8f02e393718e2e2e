from __future__ import annotations

import numpy as np
import pytest

from equikpt.evaluation.functional.novelty import LEVEL, fit_training_features, novelty_limit
from equikpt.evaluation.functional.ranking import roc_auc

D = 50


def draw(seed: int, count: int, directions: int = 5) -> np.ndarray:
    """Features that lie near a plane, the same one for each number of ``directions``."""
    rng, plane = np.random.default_rng(seed), np.random.default_rng(directions)
    along = rng.normal(size=(count, directions)) @ plane.normal(size=(directions, D))
    return 3 + along + 0.3 * rng.normal(size=(count, D))


def auc(fitted, others: np.ndarray) -> float:
    """Area under ROC of ``others`` against further images like those of the training."""
    scores = fitted.novelty(np.concatenate([draw(9, 300), others]))
    return roc_auc(scores, np.arange(len(scores)) >= 300)


@pytest.mark.parametrize(("count", "at_least"), [(40, 0.9), (300, 0.98), (900, 0.98)])
def test_images_off_the_plane_are_new_and_others_are_not(count, at_least):
    fitted = fit_training_features(draw(0, count), draw(1, 200), np.arange(200))
    off = draw(2, 300, directions=6)
    assert auc(fitted, off) > at_least
    assert 0.45 < auc(fitted, draw(3, 300)) < 0.55  # the control: drawn alike
    assert np.mean(fitted.novelty(draw(4, 1000)) > fitted.limit) < 0.03
    if count > 40:
        assert np.mean(fitted.novelty(off) > fitted.limit) > 0.6


def test_images_between_two_kinds_are_new():
    """What a mean and a covariance cannot tell: the mean of the training is like none of it."""
    kinds = np.random.default_rng(5).normal(size=(2, D))

    def images(seed: int, weights: np.ndarray) -> np.ndarray:
        return weights @ kinds + 0.1 * np.random.default_rng(seed).normal(size=(len(weights), D))

    own = np.eye(2)[np.arange(200) % 2]
    fitted = fit_training_features(images(0, own), images(1, own), np.arange(200))
    scores = fitted.novelty(np.concatenate([images(2, own), images(3, 0 * own + 0.5)]))
    assert roc_auc(scores, np.arange(400) >= 200) > 0.99


def test_contrast_does_not_count():
    fitted = fit_training_features(draw(0, 300), draw(1, 100), np.arange(100))
    images = draw(2, 20)
    np.testing.assert_allclose(fitted.novelty(7 * images), fitted.novelty(images), rtol=1e-4)
    assert np.isfinite(fitted.novelty(np.zeros((1, D)))).all()


@pytest.mark.parametrize("count", [5, 20, 300])
def test_of_further_images_as_many_are_refused_as_it_says(count):
    rng, refused = np.random.default_rng(0), []
    for _ in range(500):
        limit, level = novelty_limit(rng.lognormal(0, 0.2, count), np.arange(count))
        refused.append(np.mean(rng.lognormal(0, 0.2, 500) > limit))
    assert level == pytest.approx(min(LEVEL, count / (count + 1)))
    assert np.mean(refused) == pytest.approx(1 - level, rel=0.25)


def test_boxes_of_one_image_count_together():
    novelty = np.r_[np.ones(300), np.full(50, 9.0)]
    one = np.r_[np.arange(300), np.full(50, 300)]
    assert novelty_limit(novelty, one) == (1.0, LEVEL)
    assert novelty_limit(novelty, np.arange(350)) == (9.0, LEVEL)


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(ValueError, match="at least 6 training images"):
        fit_training_features(draw(0, 5), draw(1, 3), np.arange(3))
    with pytest.raises(ValueError, match="a held-out one, got 30 and 0"):
        fit_training_features(draw(0, 30), draw(1, 0), np.arange(0))
    broken = draw(0, 30)
    broken[3, 4] = np.nan
    with pytest.raises(ValueError, match="diverged"):
        fit_training_features(broken, draw(1, 3), np.arange(3))
