from __future__ import annotations

import numpy as np
import pytest
import torch

from equikpt.compat.safe_load import load_from_local
from equikpt.structures import (
    CountUncertainty,
    RecordError,
    Uncertainty,
    record_uncertainty,
    recorded_training_features,
    recorded_uncertainty,
)

LEVELS = np.array([0.5, 0.8, 0.9])
RADII = Uncertainty(LEVELS, np.array([[1.0, 2.0, np.inf]]), 1.0, np.array([0.1]), np.array([0.5]))
COUNTS = CountUncertainty(LEVELS, np.array([0.3, 0.1, 0.0]), "87 images, 12ab")
OVER = np.array([0.05, 0.1, 0.2, 0.5, 0.7, 0.9, 0.95])
"""Probability of at most 0, 1, … 6 things."""


@pytest.mark.parametrize("fit", [RADII, COUNTS], ids=["radii", "counts"])
def test_both_kinds_travel_in_a_checkpoint(fit, tmp_path):
    checkpoint = dict(state_dict={}, meta=dict(epoch=3))
    record_uncertainty(checkpoint, fit)
    torch.save(checkpoint, tmp_path / "best.pth")
    again = recorded_uncertainty(load_from_local(tmp_path / "best.pth"))
    assert type(again) is type(fit)
    assert again.to_dict() == fit.to_dict()
    record_uncertainty(checkpoint, None)
    assert checkpoint == dict(state_dict={}, meta=dict(epoch=3))
    assert recorded_uncertainty(checkpoint) is None


def test_an_interval_leaves_a_tail_on_both_sides():
    assert COUNTS.interval(OVER, 0.5) == (3, 4)
    assert COUNTS.interval(OVER, 0.6) == COUNTS.interval(OVER, 0.8) == (1, 5)  # the next higher
    assert COUNTS.interval(OVER, 0.9) is None  # too few images
    assert not COUNTS.has_level(0.9)
    assert COUNTS.interval(np.full(4, 0.01), 0.8) == (3, 3)  # stopped at its most points
    with pytest.raises(ValueError, match="expected a level above 0, up to 0.9"):
        COUNTS.interval(OVER, 0.95)


def without(plain: dict, name: str) -> dict:
    return {key: value for key, value in plain.items() if key != name}


@pytest.mark.parametrize(
    ("name", "plain", "what"),
    [
        ("uncertainty", without(RADII.to_dict(), "exponent"), "it lacks exponent"),
        ("uncertainty", {**RADII.to_dict(), "sides": 1}, "it has also sides"),
        ("uncertainty", {**COUNTS.to_dict(), "factor": 1}, "it has also factor"),
        ("uncertainty", {**COUNTS.to_dict(), "levels": "many"}, "could not convert"),
        ("uncertainty", [1, 2], "it lacks levels, factors"),
        ("training_features", dict(mean=torch.zeros(3), version=2), "it lacks directions"),
    ],
)
def test_a_record_of_another_version_is_one_sentence(name, plain, what):
    read = dict(uncertainty=recorded_uncertainty, training_features=recorded_training_features)
    with pytest.raises(RecordError) as raised:
        read[name](dict(meta={name: plain}))
    text = str(raised.value)
    assert f"record '{name}' of the checkpoint" in text
    assert what in text
    assert "equikpt test CONFIG CHECKPOINT --split val --fit" in text
    assert "\n" not in text
