from __future__ import annotations

import numpy as np
import pytest
import torch

from equikpt.compat.safe_load import load_from_local
from equikpt.evaluation.functional.novelty import fit_training_features
from equikpt.structures import (
    TrainingFeatures,
    record_training_features,
    recorded_training_features,
)

D = 768
"""Features of RTMPose-m, the widest model that is shipped."""


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(800, 40)) @ rng.normal(size=(40, D)) + rng.normal(size=(800, D))


@pytest.fixture(scope="module")
def fitted(images) -> TrainingFeatures:
    return fit_training_features(images[:600], images[600:], np.arange(200), "val.json")


def test_it_travels_in_a_checkpoint(fitted, images, tmp_path):
    path = tmp_path / "best.pth"
    checkpoint = dict(state_dict={}, meta=dict(epoch=3))
    record_training_features(checkpoint, fitted)
    torch.save(checkpoint, path)
    assert path.stat().st_size < 200_000
    again = recorded_training_features(load_from_local(path))
    np.testing.assert_array_equal(again.novelty(images), fitted.novelty(images))
    assert (again.limit, again.level, again.source) == (fitted.limit, fitted.level, "val.json")
    record_training_features(checkpoint, None)
    assert checkpoint == dict(state_dict={}, meta=dict(epoch=3))


@pytest.mark.parametrize("checkpoint", [{}, dict(meta=None), dict(meta={}), dict(weight=[1])])
def test_a_checkpoint_without_it_says_nothing(checkpoint):
    assert recorded_training_features(checkpoint) is None


def test_a_typical_image_is_1(fitted, images):
    assert np.median(fitted.novelty(images[600:])) == pytest.approx(1)


def test_directions_and_rests_stand_for_all_features(fitted, images):
    """Distances differ little from those of whole features, of which 500 are stored."""
    lengths_1 = images / np.linalg.norm(images, axis=1, keepdims=True)
    chosen = np.random.default_rng(0).permutation(600)[:500]
    apart = np.linalg.norm(lengths_1[600:620, None] - lengths_1[chosen], axis=-1)
    expected = np.sort(apart, axis=1)[:, :5].mean(axis=1)
    np.testing.assert_allclose(fitted.distances(images[600:620]), expected, rtol=0.01)


def test_the_reason_names_score_and_limit(fitted):
    assert fitted.refusal(fitted.limit) == ""
    reason = fitted.refusal(fitted.limit + 1)
    assert reason.startswith("unlike the training images (score ")
    assert f"limit {fitted.limit:.2f}" in reason


def test_features_of_another_model_are_refused(fitted):
    with pytest.raises(ValueError, match=f"expected {D} features as in training, got 7"):
        fitted.novelty(np.zeros((2, 7)))
