from __future__ import annotations

import numpy as np
import pytest
from mmpose.datasets.transforms import RandomBBoxTransform

from equikpt.datasets.transforms import FastRandomBBoxTransform


@pytest.mark.parametrize("boxes", [1, 3])
def test_one_seed_gives_the_boxes_of_the_stock_transform(boxes):
    arguments = dict(shift_prob=0.7, scale_factor=(0.6, 1.4), rotate_prob=0.6)
    outputs = []
    for kind in (RandomBBoxTransform, FastRandomBBoxTransform):
        transform = kind(**arguments)
        np.random.seed(0)  # noqa: NPY002 - what MMEngine seeds
        for _ in range(50):
            sample = dict(
                bbox_center=np.full((boxes, 2), 300.0, np.float32),
                bbox_scale=np.full((boxes, 2), 500.0, np.float32),
            )
            outputs.append(transform(sample))
        outputs.append(dict(next_number=np.random.rand()))  # noqa: NPY002 - what MMEngine seeds
    for expected, got in zip(outputs[:51], outputs[51:], strict=True):
        assert got.keys() == expected.keys()
        for key, value in expected.items():
            assert np.allclose(got[key], value, rtol=0, atol=1e-3), key
            assert np.asarray(got[key]).dtype == np.asarray(value).dtype
    assert len({float(output["bbox_scale"][0, 0]) for output in outputs[51:-1]}) == 50


def test_draws_keep_to_their_bounds():
    np.random.seed(1)  # noqa: NPY002 - what MMEngine seeds
    drawn = FastRandomBBoxTransform._truncnorm(size=(1000, 4))
    assert drawn.shape == (1000, 4)
    assert np.abs(drawn).max() <= 1
    assert drawn.std() == pytest.approx(0.5396, abs=0.02)  # of a normal cut off at one sigma
