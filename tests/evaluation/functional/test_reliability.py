from __future__ import annotations

import numpy as np
import pytest

from equikpt.evaluation.functional.reliability import (
    expected_calibration_error,
    fit_score_map,
    reliability,
)


def draw(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores that say too little: a hit is as likely as the root of the score."""
    scores = rng.uniform(0, 1, count)
    return scores, rng.uniform(size=count) < np.sqrt(scores)


def test_the_map_makes_other_scores_come_true():
    rng = np.random.default_rng(0)
    mapped = fit_score_map(*draw(rng, 2000))
    scores, hits = draw(rng, 20_000)
    before = expected_calibration_error(scores, hits)
    assert before > 0.1
    assert expected_calibration_error(mapped(scores), hits) < 0.03


def test_the_map_rises_and_is_never_certain():
    scores, hits = draw(np.random.default_rng(1), 300)
    mapped = fit_score_map(scores, hits)
    values = mapped(np.linspace(-1, 2, 1000))
    assert (np.diff(values) >= 0).all()
    assert 0 < values.min() < values.max() < 1


def test_one_score_for_all_gives_the_fraction_of_hits():
    mapped = fit_score_map(np.full(10, 0.7), np.arange(10) < 4)
    assert mapped(np.array([0.1, 0.9])) == pytest.approx([0.4, 0.4])


def test_bins_count_everything_once():
    scores, hits = draw(np.random.default_rng(2), 500)
    table = reliability(scores, hits, bins=10)
    assert table["count"].sum() == 500
    assert ((table["probability"] >= table["low"]) & (table["probability"] <= table["high"])).all()
    total = (table["hits"] * table["count"]).sum()
    assert total == pytest.approx(hits.sum())


def test_nothing_to_calibrate_with_is_refused():
    with pytest.raises(ValueError, match="held-out"):
        fit_score_map(np.zeros(0), np.zeros(0, bool))
