import math

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from equikpt.codecs.point_sequence import PointSequence  # noqa: F401
from equikpt.models.coords import cell_centers, squared_distances
from equikpt.models.sequential_attention_head import SequentialAttentionHead
from equikpt.models.step_targets import ending, match_mask, remaining_mask

SIZE = 64
POINTS = torch.tensor(
    [[[-0.5, -0.5], [0.25, 0.0], [0.5, 0.5]], [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]]
)
VALID = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])


def make_head(order: str = "reading", **options) -> SequentialAttentionHead:
    torch.manual_seed(0)
    decoder = dict(type="PointSequence", input_size=(SIZE, SIZE), max_points=3, order=order)
    small = dict(width=16, heads=2, memory_layers=1, num_glimpses=2)
    return SequentialAttentionHead(8, 3, decoder, **dict(attention=small) | options)


@pytest.fixture
def feats() -> tuple[torch.Tensor]:
    return (torch.randn(2, 8, 8, 8, generator=torch.Generator().manual_seed(1)),)


def samples(points: torch.Tensor = POINTS, valid: torch.Tensor = VALID) -> list[PoseDataSample]:
    made = []
    for its_points, its_valid in zip(points, valid, strict=True):
        sample = PoseDataSample()
        sample.gt_instance_labels = InstanceData(
            points=its_points[None], points_valid=its_valid[None]
        )
        made.append(sample)
    return made


def test_what_is_lost_and_what_is_read(feats):
    losses = make_head().loss(feats, samples())
    assert set(losses) == {
        "loss_x", "loss_y", "loss_done", "loss_attention", "loss_count", "spatial", "error_px",
        "count_error", "done_accuracy", "not_done_accuracy",
    }  # fmt: skip
    assert all(value.ndim == 0 and torch.isfinite(value) for value in losses.values())
    torch.testing.assert_close(losses["spatial"], losses["loss_x"] + losses["loss_y"])
    assert not losses["spatial"].requires_grad  # a reading; its parts are what is trained


@pytest.mark.parametrize(
    ("options", "valid"),
    [({}, VALID), (dict(order="given", mode="keypoints"), torch.eye(3)[:2])],
    ids=["padding", "unlabelled keypoints"],
)
def test_points_that_are_not_valid_change_nothing(feats, options, valid):
    head = make_head(**options)
    moved = torch.where(valid[..., None] > 0, POINTS, 0.7)
    plain, changed = (head.loss(feats, samples(points, valid)) for points in (POINTS, moved))
    torch.testing.assert_close(changed, plain)


def test_nearest_does_not_care_for_the_order_of_what_is_left(feats):
    """At the first step, where nothing is marked. The reading order does care."""
    coords = torch.rand(2, 3, 2, generator=torch.Generator().manual_seed(5)) * 2 - 1
    for target in ("nearest", "next"):
        head = make_head(target=target)
        first, second = (
            head.teacher_forced_targets(feats, samples(points, torch.ones(2, 3))).target[:, 0]
            for points in (coords, coords.flip(1))
        )
        assert torch.allclose(first, second) == (target == "nearest")


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("next", [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]),
        ("nearest", [[1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]]),
    ],
)
def test_the_map_shows_the_target_or_all_that_is_left(feats, target, shown):
    sequence = make_head(target=target).teacher_forced_targets(feats, samples())
    assert sequence.target_mask[0].tolist() == shown


@pytest.mark.parametrize("target", ["next", "nearest"])
def test_a_map_that_shows_what_it_should_costs_its_entropy_alone(feats, target):
    """By Gibbs' inequality: any other map costs more."""
    head = make_head(target=target, attention_weight=1.0)
    sequence = head.teacher_forced_targets(feats, samples())
    cells = cell_centers(feats[-1])
    near = -squared_distances(sequence.points, cells) / (2 * head.attention_sigma**2)
    share = (
        sequence.target_mask
        @ near.softmax(-1)
        / sequence.target_mask.sum(-1, keepdim=True).clamp_min(1)
    )
    right = sequence._replace(steps=sequence.steps._replace(attention=(share + 1e-9).log()))
    best = head.coord_losses(right, feats)["loss_attention"]
    assert best < head.coord_losses(sequence, feats)["loss_attention"]
    entropy = -(share * (share + 1e-9).log()).sum(-1)
    mean = (entropy * sequence.has_target).sum() / sequence.has_target.sum()
    torch.testing.assert_close(best, mean, rtol=1e-3, atol=1e-4)


def test_noise_is_added_in_training_alone(feats):
    head = make_head()
    head.given_noise = 0.1
    head.train()
    noisy = head.teacher_forced_targets(feats, samples())
    head.eval()
    plain = head.teacher_forced_targets(feats, samples())
    torch.testing.assert_close(plain.input_points, POINTS)
    assert 0.03 < (noisy.input_points - POINTS).std() < 0.3
    torch.testing.assert_close(noisy.target[0, :3], POINTS[0])  # the targets are the true points


def teach_by_heart(head: SequentialAttentionHead, feats, steps: int = 150) -> None:
    head.train()
    optimizer = torch.optim.Adam(head.parameters(), lr=3e-3)
    for _ in range(steps):
        losses = head.loss(feats, samples())
        optimizer.zero_grad()
        sum(value for name, value in losses.items() if "loss" in name).backward()
        optimizer.step()
    head.eval()


@pytest.mark.parametrize("balance", ["balanced", "steps", "sampled"])
def test_learns_two_images_by_heart_and_runs_freely(feats, balance):
    """From features of noise alone: three points in their order, and one; then done."""
    head = make_head(done_balance=balance)
    with torch.no_grad():
        untrained = head.predict(feats, samples())
    teach_by_heart(head, feats)
    with torch.no_grad():
        trained = head.predict(feats, samples())
    expected = [(POINTS[0] + 1) * SIZE / 2, (POINTS[1, :1] + 1) * SIZE / 2]
    for instance, points in zip(trained, expected, strict=True):
        assert instance.keypoints.shape == (1, len(points), 2)
        assert np.abs(instance.keypoints[0] - points.numpy()).max() < 4
        assert instance.done_probability.shape == (1, len(points) + 1)
        assert (instance.done_probability[0, :-1] < 0.5).all()
        assert instance.done_probability[0, -1] >= 0.5
        assert ((instance.keypoint_scores >= 0) & (instance.keypoint_scores <= 1)).all()
    assert any(
        first.keypoints.shape != second.keypoints.shape
        or np.abs(first.keypoints - second.keypoints).max() > 4
        for first, second in zip(untrained, trained, strict=True)
    )


def test_the_distribution_goes_on_where_the_sequence_ends(feats):
    head = make_head(done_balance="steps")
    torch.nn.init.zeros_(head.attention.done[-1].weight)
    torch.nn.init.constant_(head.attention.done[-1].bias, math.log(0.5))  # 1/3 at each step
    for instance in head.predict(feats, samples()):
        over = 1 - (2 / 3) ** np.arange(1, 5)  # 3 is max_points
        assert instance.over_probability[0] == pytest.approx(over)
        assert instance.keypoints.shape == (1, 1, 2)
        assert instance.done_probability[0] == pytest.approx(over[:2])
    torch.nn.init.constant_(head.attention.done[-1].bias, math.log(50.0))
    for instance in head.predict(feats, samples()):  # over with 0.98, and then 0.9996
        assert instance.over_probability.shape == (1, 2)
        assert instance.keypoints.shape == (1, 0, 2)
    named = make_head(order="given", mode="keypoints")
    assert "over_probability" not in named.predict(feats, samples())[0]


@pytest.mark.parametrize(
    ("options", "points"),
    [
        (dict(done_threshold=1.1), 3),  # never done
        (dict(done_threshold=0.0), 0),  # done at once
        (dict(done_threshold=0.0, order="given", mode="keypoints"), 3),  # named: all
    ],
    ids=["never done", "at once", "named"],
)
def test_a_sequence_ends_when_done_or_at_max_points(feats, options, points):
    for instance in make_head(**options).predict(feats, samples()):
        assert instance.keypoints.shape == (1, points, 2)
        assert instance.done_probability.shape == (1, points + 1)


@pytest.mark.parametrize("named", [False, True], ids=["unnamed", "named"])
def test_scores_say_how_many_things_are_near_up_to_one(feats, named):
    head = make_head(**(dict(order="given", mode="keypoints") if named else {}), done_threshold=1.1)
    for level, expected in ((-50.0, 0.0), (50.0, 1.0)):
        torch.nn.init.constant_(head.attention.level, level)
        with torch.no_grad():
            instances = head.predict(feats, samples())
        for instance in instances:
            assert instance.keypoint_scores[0] == pytest.approx([expected] * 3, abs=1e-6)


def test_a_map_with_as_many_things_as_are_left_costs_nothing(feats):
    """Whatever its shape; any other sum costs more, as the Poisson distribution has it."""
    head = make_head(target="nearest", order="random", count_weight=1.0)
    sequence = head.teacher_forced_targets(feats, samples())
    left = sequence.target_mask.sum(dim=-1)

    def loss(number: torch.Tensor) -> dict[str, torch.Tensor]:
        attention = sequence.steps.attention.log_softmax(dim=-1) + number.log()[..., None]
        steps = sequence.steps._replace(attention=attention)
        return head.coord_losses(sequence._replace(steps=steps), feats)

    right = loss(left.clamp_min(1e-6))
    assert right["loss_count"].item() == pytest.approx(0.0, abs=1e-4)
    assert right["count_error"].item() == pytest.approx(0.0, abs=1e-4)
    one_more = loss(left + 1)
    assert one_more["count_error"].item() == pytest.approx(1.0, abs=1e-4)
    left = left[sequence.step_mask > 0]
    worse, best = (torch.distributions.Poisson(n) for n in (left + 1, left.clamp_min(1e-6)))
    expected = (best.log_prob(left) - worse.log_prob(left)).mean()
    torch.testing.assert_close(one_more["loss_count"], expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(one_more["loss_attention"], right["loss_attention"])


def test_own_points_are_given_to_a_share_of_the_images_in_training(feats):
    head = make_head(
        target="nearest", order="random", scheduled_sampling_prob=1.0, match_radius=0.3
    )
    own = head.attention.greedy_peaks(feats[-1], 3)
    head.train()
    sequence = head.teacher_forced_targets(feats, samples())
    torch.testing.assert_close(sequence.input_points, own)
    marked = match_mask(own, POINTS, VALID, radius=0.3)
    assert torch.equal(sequence.target_mask, remaining_mask(VALID, marked))
    assert sequence.done[0].tolist() == [0, 0, 0, 1]  # after as many points as there are true ones
    assert sequence.done[1, 1].item() == 1
    head.scheduled_sampling_prob = 0.5
    torch.manual_seed(0)
    drawn = [head.teacher_forced_targets(feats, samples()).input_points for _ in range(60)]
    shares = torch.stack([(given == own).all(dim=(1, 2)) for given in drawn]).float().mean(dim=0)
    assert ((shares > 0.3) & (shares < 0.7)).all()
    head.eval()
    torch.testing.assert_close(head.teacher_forced_targets(feats, samples()).input_points, POINTS)


def test_what_balancing_did_to_the_odds_of_done_is_taken_back():
    """Odds of 3 to 1 among 6 things are 1 to 2."""
    logits, total = torch.log(torch.tensor([[3.0, 3.0]])), torch.tensor([[6.0]])
    torch.testing.assert_close(ending(logits, total, "balanced"), torch.full((1, 2), 1 / 3))
    torch.testing.assert_close(ending(logits, total, "steps"), torch.full((1, 2), 3 / 4))
    few = torch.tensor([[0.2]])  # less than one thing changes nothing
    torch.testing.assert_close(ending(logits, few, "balanced"), ending(logits, few, "steps"))


def test_a_sequence_is_over_once_it_has_ended(feats):
    head = make_head(done_threshold=1.1)
    with torch.no_grad():
        _, _, over = head(feats)
        scene = head.attention.scene(feats[-1])
        steps, memory = head.attention.first(scene)
        second, _ = head.attention.next(scene, memory, steps.coords, torch.ones(2, 1))
    ends = torch.cat([steps.done_logits, second.done_logits], dim=1).sigmoid()
    torch.testing.assert_close(over[:, 0], ends[:, 0])
    torch.testing.assert_close(over[:, 1], 1 - (1 - ends[:, 0]) * (1 - ends[:, 1]))
    assert (over.diff(dim=1) > 0).all()


def test_done_weight_and_attention_weight_are_factors(feats):
    plain, changed = (
        make_head(**options).loss(feats, samples())
        for options in (
            dict(done_weight=1.0, attention_weight=1.0),
            dict(done_weight=3.0, attention_weight=0.5),
        )
    )
    torch.testing.assert_close(changed["loss_done"], 3 * plain["loss_done"])
    torch.testing.assert_close(changed["loss_attention"], 0.5 * plain["loss_attention"])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (dict(mode="lines"), "mode to be one of points, keypoints"),
        (dict(target="last"), "target to be one of next, nearest"),
        (dict(done_balance="half"), "done_balance to be one of steps, balanced, sampled"),
        (dict(mode="keypoints", target="nearest"), "target='next'"),
        (dict(scheduled_sampling_prob=0.5), "scheduled_sampling_prob .* 0 unless target='nearest'"),
        (dict(scheduled_sampling_prob=1.5, target="nearest"), "scheduled_sampling_prob from 0 to"),
    ],
)
def test_wrong_options_say_what_is_right(options, expected):
    with pytest.raises(ValueError, match=f"expected {expected}"):
        make_head(**options)


def test_a_flip_test_is_refused(feats):
    with pytest.raises(ValueError, match="flip_test"):
        make_head().predict(feats, samples(), dict(flip_test=True))
