"""Moving sample horses, whose gait is known."""

import functools

import pytest

from projects.sample_horses.trials import Motion, moving_trial


@functools.cache
def moving(**settings):
    return moving_trial(Motion(**{"strides": 8, **settings}))


@pytest.fixture(scope="session")
def trot():
    return moving(head_mm=(20.0, -10.0), pelvis_mm=(15.0, -5.0))


@pytest.fixture(scope="session")
def walk():
    return moving(gait="walk", strides=4, facing="right", camera="still")
