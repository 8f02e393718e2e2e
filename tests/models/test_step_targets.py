import pytest
import torch

from equikpt.models.step_targets import (
    done_target,
    done_weights,
    has_target,
    match_mask,
    nearest_target,
    remaining_mask,
)

THREE_OF_FOUR = torch.tensor([[1.0, 1.0, 1.0, 0.0]])


def left_of(valid: torch.Tensor) -> torch.Tensor:
    """Of steps that are given the true points."""
    return remaining_mask(valid, torch.diag_embed(valid))


def test_the_nearest_is_measured_as_the_loss_measures():
    """Three points on a line; the prediction of each step lies nearest to the one in the middle."""
    points = torch.tensor([[[-0.5, 0.0], [0.0, 0.0], [0.5, 0.0], [0.0, 0.0]]])
    predicted = torch.tensor([[[0.1, 0.0], [0.1, 0.0], [0.1, 0.0], [0.0, 0.0], [0.0, 0.0]]])
    index = nearest_target(predicted, points, left_of(THREE_OF_FOUR))[0].tolist()
    # step 2 knows the middle one; padding on the same spot is never a target
    assert index[:3] == [1, 1, 2]
    # |Δx| + |Δy|: a point at (0.3, 0.3) is farther than one at (0, 0.5).
    points = torch.tensor([[[0.3, 0.3], [0.0, 0.5]]])
    index = nearest_target(torch.zeros(1, 3, 2), points, left_of(torch.ones(1, 2)))
    assert index[0, 0].item() == 1


def test_the_order_of_what_is_left_does_not_matter():
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(1, 6, 2, generator=generator)
    predicted = torch.rand(1, 7, 2, generator=generator)
    left = left_of(torch.ones(1, 6))
    for step in range(6):
        for _ in range(5):
            order = torch.arange(6)
            order[step:] = step + torch.randperm(6 - step, generator=generator)
            shuffled = points[:, order]
            plain = points[0, nearest_target(predicted, points, left)[0, step]]
            other = shuffled[0, nearest_target(predicted, shuffled, left)[0, step]]
            torch.testing.assert_close(plain, other)


def test_what_a_step_does_not_know_is_unmarked():
    assert left_of(THREE_OF_FOUR).tolist() == [
        [[1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    ]


def test_a_given_point_marks_the_nearest_that_is_free_and_near():
    points = torch.tensor([[[-0.5, 0.0], [0.0, 0.0], [0.2, 0.0], [0.0, 0.0]]])
    given = torch.tensor([[[0.05, 0.0], [0.1, 0.0], [0.8, 0.0], [-0.5, 0.2]]])
    marked = match_mask(given, points, THREE_OF_FOUR, radius=0.15)
    # the second is nearer to a point that the first has marked, the last two are near none
    assert marked.tolist() == [[[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]]
    assert remaining_mask(THREE_OF_FOUR, marked)[0, [0, 1, 2, 4]].tolist() == [
        [1, 1, 1, 0], [1, 0, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0]
    ]  # fmt: skip


def test_true_points_mark_themselves():
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(3, 6, 2, generator=generator)
    valid = (torch.arange(6) < torch.tensor([[6], [2], [0]])).float()
    assert torch.equal(match_mask(points, points, valid, radius=1e-3), torch.diag_embed(valid))


def test_targets_and_done_of_steps():
    valid = torch.tensor([[1.0, 0.0, 1.0, 0.0]])
    assert has_target(valid, 5, named=True).tolist() == [[1, 0, 1, 0, 0]]
    assert has_target(valid, 5, named=False).tolist() == [[1, 1, 1, 0, 0]]
    done, step_mask = done_target(
        torch.cat([THREE_OF_FOUR, torch.zeros(1, 4), torch.ones(1, 4)]), 5
    )
    assert done.tolist() == [[0, 0, 0, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]]
    assert step_mask.tolist() == [[1, 1, 1, 1, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1]]


@pytest.mark.parametrize(
    ("balance", "fraction"), [("steps", 0.25), ("balanced", 0.5), ("sampled", 0.5)]
)
def test_weight_of_the_step_that_says_done(balance, fraction):
    done, step_mask = done_target(THREE_OF_FOUR, 5)
    weights = done_weights(done, step_mask, balance)
    assert weights.sum().item() == pytest.approx(1.0)
    assert (weights * done).sum().item() == pytest.approx(fraction)
    assert weights[0, 4].item() == 0  # no sequence gets there
    # an empty image is done at once
    empty = done_weights(*done_target(torch.zeros(1, 4), 5), balance)
    assert empty.tolist() == [[1, 0, 0, 0, 0]]


def test_sampling_takes_one_going_step_each_in_its_turn():
    done, step_mask = done_target(THREE_OF_FOUR, 5)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack(
        [done_weights(done, step_mask, "sampled", generator)[0, :3] for _ in range(60)]
    )
    assert ((drawn > 0).sum(dim=1) == 1).all()
    assert (drawn > 0).any(dim=0).all()
