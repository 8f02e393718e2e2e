from __future__ import annotations

import json

import numpy as np
import pytest

from equikpt.evaluation.functional.conformal import coverage
from equikpt.evaluation.functional.uncertainty import (
    MIN_CLUSTERS,
    count_tail,
    fit_count_uncertainty,
    fit_uncertainty,
)
from equikpt.structures.uncertainty import Uncertainty

K = 4


def draw(seed: int, count: int) -> dict[str, np.ndarray]:
    """Errors that are as large as the spread says, but for keypoint 0: three times that."""
    rng = np.random.default_rng(seed)
    spread = rng.lognormal(1, 0.7, (count, K))
    errors = spread * np.abs(rng.normal(size=(count, K))) * [3, 1, 1, 1]
    errors[rng.uniform(size=(count, K)) < 0.2] = np.nan
    similarity = np.exp(-((errors / 10) ** 2))
    scores = 1 / (1 + spread)
    return dict(errors_px=errors, spread_px=spread, scores=scores, similarity=similarity)


def fitted(count: int, seed: int = 0) -> Uncertainty:
    return fit_uncertainty(**draw(seed, count), clusters=np.arange(count))


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_radii_hold_their_level_for_each_keypoint_with_enough_labels(level):
    found = [
        [
            coverage(each["errors_px"][:, k], found.radius(each["spread_px"], level)[:, k])
            for k in range(K)
        ]
        for seed in range(10)
        if (found := fitted(3 * MIN_CLUSTERS, seed)) and (each := draw(seed + 100, 2000))
    ]
    assert np.mean(found, axis=0) == pytest.approx([level] * K, abs=0.02)


def test_few_labels_share_one_factor():
    few, many = fitted(MIN_CLUSTERS // 2), fitted(3 * MIN_CLUSTERS)
    assert (few.factors == few.factors[0]).all()
    assert many.factors[0, 40] > 2 * many.factors[1, 40]


def test_the_power_of_the_spread_follows_the_errors():
    arrays, rng = draw(0, 500), np.random.default_rng(1)
    arrays["spread_px"], noise = rng.uniform(1, 4, (500, K)), np.abs(rng.normal(size=(500, K)))
    found = []
    for power in (0.0, 2.0, 5.0):
        arrays["errors_px"] = arrays["spread_px"] ** power * noise
        found.append(fit_uncertainty(**arrays, clusters=np.arange(500)).exponent)
    assert found[0] == 0
    assert found[0] < found[1] < found[2]


def test_too_few_images_give_no_radius():
    radius = fitted(5).radius(np.ones((1, K)))
    assert np.isinf(radius).all()
    assert np.isfinite(fitted(30).radius(np.ones((1, K)))).all()


def test_a_higher_level_has_a_larger_radius():
    each = fitted(200)
    radii = [each.radius(np.ones(K), level) for level in (0.5, 0.55, 0.9, 0.95, 0.99)]
    assert (np.diff(radii, axis=0) >= 0).all()
    with pytest.raises(ValueError, match="level"):
        each.radius(np.ones(K), 0.999)


def test_scores_become_probabilities():
    each, other = fitted(500), draw(1, 5000)
    known = np.isfinite(other["errors_px"])
    hits = other["similarity"][known] >= 0.5
    said = each.probability(other["scores"][known])
    assert said.mean() == pytest.approx(hits.mean(), abs=0.03)
    likely = said > np.median(said)
    assert hits[likely].mean() > hits[~likely].mean() + 0.1


@pytest.mark.parametrize("count", [5, 200])
def test_it_survives_json(count):
    each = fitted(count)
    again = Uncertainty.from_dict(json.loads(json.dumps(each.to_dict(), allow_nan=False)))
    assert np.array_equal(again.factors, each.factors)
    assert np.array_equal(again.probability(np.ones(3)), each.probability(np.ones(3)))


def test_no_label_is_refused():
    arrays = draw(0, 10)
    arrays["errors_px"][:] = np.nan
    with pytest.raises(ValueError, match="held-out"):
        fit_uncertainty(**arrays, clusters=np.arange(10))


def counted(seed: int, count: int, narrow: float) -> tuple[list[np.ndarray], list[int]]:
    """Distributions of counts whose logits are ``narrow`` times as steep as they should be."""
    rng = np.random.default_rng(seed)
    middles = rng.uniform(5, 15, count)
    true = np.clip(np.round(middles + rng.logistic(0, 1.0, count)), 0, 30).astype(int)
    over = 1 / (1 + np.exp(-narrow * (np.arange(31) + 0.5 - middles[:, None])))
    return list(over), true.tolist()


def held(fit, over, true, level) -> float:
    ends = [fit.interval(each, level) for each in over]
    return float(np.mean([low <= n <= high for (low, high), n in zip(ends, true, strict=True)]))


@pytest.mark.parametrize("narrow", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_intervals_hold_their_level_however_sure_the_model_is(level, narrow):
    found = []
    for seed in range(10):
        fit = fit_count_uncertainty(*counted(seed, 300, narrow), np.arange(300))
        found.append(held(fit, *counted(seed + 100, 1000, narrow), level))
    assert level - 0.02 <= np.mean(found) <= level + 0.06  # numbers are whole: a little more
    raw = [np.searchsorted(each, [0.05, 0.95]) for each in counted(0, 1000, 2.0)[0]]
    assert np.mean([high - low for low, high in raw]) < 4  # the control: what the model says


def test_of_the_images_of_the_fit_at_least_the_level_are_held():
    """The image that sets the limit is inside, though it is on the edge."""
    over, true = counted(3, 40, 1.0)
    fit = fit_count_uncertainty(over, true, np.arange(40))
    assert all(held(fit, over, true, level) >= level for level in (0.5, 0.7, 0.9))


def test_whole_videos_count():
    over, true = counted(0, 80, 1.0)
    alone = fit_count_uncertainty(over, true, np.arange(80))
    grouped = fit_count_uncertainty(over, true, np.arange(80) // 10)
    assert alone.has_level(0.9)
    assert not grouped.has_level(0.9)  # of 8 videos
    assert grouped.has_level(0.8)


@pytest.mark.parametrize(("count", "tail"), [(0, 0.1), (1, 0.4), (2, 0.6), (3, 0.2), (4, 0.0)])
def test_tails_by_hand(count, tail):
    assert count_tail(np.array([0.1, 0.4, 0.8, 1.0]), count) == pytest.approx(tail)


def test_tails_too_thin_to_tell_are_none():
    assert count_tail(np.array([0.0, 0.9995, 1.0]), 2) == 0
