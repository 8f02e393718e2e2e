import numpy as np
import torch
from mmpose.models import PoseDataPreprocessor

from equikpt.export.graphs.base import Normalisation, Novelty, Probability
from tests.export.conftest import KEYPOINTS, WIDTH, features, fit


def test_probabilities_are_those_of_numpy_at_steps_and_beyond_the_ends():
    one = fit(np.random.default_rng(0))
    scores = np.array([-1, 0, 0.25, 0.5, 0.75, 1, 1.5, 4, 9], np.float32)
    found = Probability(one)(torch.from_numpy(scores)[None])
    np.testing.assert_allclose(found[0], one.probability(scores), atol=1e-6)
    assert len(one.factors) == KEYPOINTS


def test_novelty_is_that_of_the_record():
    record = features(np.random.default_rng(1))
    given = np.random.default_rng(2).normal(size=(5, WIDTH)).astype(np.float32)
    found = Novelty(record)(torch.from_numpy(given))
    np.testing.assert_allclose(found, record.novelty(given), rtol=1e-5)
    np.testing.assert_allclose(Novelty(record)(torch.from_numpy(3 * given)), found, rtol=1e-5)


def test_images_are_normalised_as_by_the_model():
    image = np.random.default_rng(3).integers(0, 256, (1, 4, 5, 3), dtype=np.uint8)
    bgr = torch.from_numpy(image[0, :, :, ::-1].copy()).permute(2, 0, 1)
    for conversion in (True, False):
        own = PoseDataPreprocessor(mean=[1, 2, 3], std=[4, 5, 6], bgr_to_rgb=conversion)
        expected = own(dict(inputs=[bgr], data_samples=[]))["inputs"]
        found = Normalisation(own)(torch.from_numpy(image))
        torch.testing.assert_close(found, expected)
