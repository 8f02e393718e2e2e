import numpy as np
import pytest
from scipy.stats import multivariate_t

from equikpt.data_tools.verify import pose_model
from equikpt.data_tools.verify.pose_model import FREEDOM, PoseModel, mirrored, normalised

SWAP = np.array([0, 2, 1, 4, 3])


def random_poses(count: int, seed: int = 0, missing: float = 0.2) -> np.ndarray:
    """Two ways to stand, of five points, some of which are not labelled."""
    rng = np.random.default_rng(seed)
    shapes = rng.normal(0, 1, (2, 5, 2))
    xy = shapes[rng.integers(2, size=count)] + rng.normal(0, 0.08, (count, 5, 2))
    visibility = np.where(rng.random((count, 5)) < missing, 0, 2)
    visibility[:, 0] = 2
    return normalised(xy, visibility)


def test_normalised_poses_know_neither_position_nor_size():
    rng = np.random.default_rng(0)
    xy, visibility = rng.uniform(0, 99, (30, 5, 2)), rng.integers(0, 3, (30, 5))
    visibility[:, :2] = 2
    poses = normalised(xy, visibility)
    labelled = (visibility > 0)[..., None]
    np.testing.assert_allclose((poses[..., :2] * labelled).sum(axis=1), 0, atol=1e-9)
    radius = (poses[..., :2] ** 2).sum(axis=(1, 2)) / labelled.sum(axis=(1, 2))
    np.testing.assert_allclose(radius, 1)
    moved = normalised(3 * xy + (40, -7), visibility)
    np.testing.assert_allclose(moved, poses)


def test_a_mirror_twice_is_none():
    poses = random_poses(20)
    np.testing.assert_array_equal(mirrored(mirrored(poses, SWAP), SWAP), poses)


def test_coords_have_the_density_of_scipys_t_distributions():
    poses = random_poses(60)
    model = PoseModel(poses, SWAP)
    found = model.log_likelihood(poses, coords_only=True)
    for row in range(len(poses)):
        known = np.repeat(poses[row, :, 2] > 0, 2)
        density = 0.0
        for part in model._components:
            scale = part.factors @ part.factors.T + np.diag(part.variance)
            there = multivariate_t(part.mean[known], scale[np.ix_(known, known)], df=FREEDOM)
            density += part.prior * there.pdf(poses[row, :, :2].ravel()[known])
        assert found[row] == pytest.approx(np.log(density), rel=1e-9)


def test_fitting_makes_the_poses_likelier(monkeypatch):
    poses = random_poses(80)
    likelihoods = []
    for iterations in (0, 1, 3, 20):
        monkeypatch.setattr(pose_model, "ITERATIONS", iterations)
        likelihoods.append(PoseModel(poses, SWAP).log_likelihood(poses).sum())
    assert likelihoods == sorted(likelihoods)


def test_a_pose_and_its_mirror_image_are_equally_likely():
    poses = random_poses(300)
    model = PoseModel(poses[:200], SWAP)
    here, there = (model.log_likelihood(p[200:]) for p in (poses, mirrored(poses, SWAP)))
    np.testing.assert_allclose(here, there, rtol=1e-6)


def test_outliers_do_not_shape_the_model():
    clean, rng = random_poses(100, missing=0), np.random.default_rng(1)
    wild = normalised(rng.normal(0, 1, (10, 5, 2)), np.full((10, 5), 2))
    with_wild = PoseModel(np.concatenate([clean, wild]), SWAP)
    without = PoseModel(clean, SWAP)
    assert with_wild.log_likelihood(clean).mean() > with_wild.log_likelihood(wild).mean() + 5
    assert with_wild.log_likelihood(clean).mean() > without.log_likelihood(clean).mean() - 3


def test_the_point_that_was_moved_is_the_least_likely():
    poses = random_poses(200, missing=0)
    model = PoseModel(poses[:150], SWAP)
    judged = poses[150:]
    judged[:, 3, :2] += 1.5
    points = model.log_likelihood_of_points(judged)
    assert (points.argmin(axis=1) == 3).mean() > 0.9


def test_points_without_label_have_no_density():
    poses = random_poses(60, missing=0.5)
    points = PoseModel(poses, SWAP).log_likelihood_of_points(poses)
    assert (points[poses[..., 2] == 0] == 0).all()
    assert (points[poses[..., 2] > 0] != 0).all()


def test_a_visibility_that_does_not_occur_makes_a_pose_unlikely():
    poses = random_poses(100, missing=0)
    hidden = poses.copy()
    hidden[:, 2, 2] = 1
    model = PoseModel(poses, SWAP)
    assert (model.log_likelihood(hidden) < model.log_likelihood(poses) - 2).all()
    of_coords = (model.log_likelihood(p, coords_only=True) for p in (hidden, poses))
    np.testing.assert_allclose(*of_coords)
