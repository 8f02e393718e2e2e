import pytest
from mmengine.dataset import DefaultSampler

from equikpt.datasets.capped_sampler import CappedSampler


@pytest.fixture
def world(monkeypatch):
    """Pretend to be a rank of several."""

    def pretend(rank: int, size: int) -> None:
        monkeypatch.setattr("mmengine.dataset.sampler.get_dist_info", lambda: (rank, size))

    return pretend


def epoch_of(sampler, epoch: int) -> list[int]:
    sampler.set_epoch(epoch)
    return list(sampler)


def test_an_epoch_has_so_many_and_the_next_one_others():
    sampler = CappedSampler(range(100), max_samples=10, seed=0)
    first, second = epoch_of(sampler, 0), epoch_of(sampler, 1)
    assert len(sampler) == len(first) == len(set(first)) == 10
    assert set(first) != set(second)
    assert epoch_of(sampler, 0) == first
    sampler = CappedSampler(range(30), max_samples=10, seed=0)
    drawn = {index for epoch in range(40) for index in epoch_of(sampler, epoch)}
    assert drawn == set(range(30))


def test_in_order_they_are_spread_over_the_whole():
    sampler = CappedSampler(range(100), max_samples=4, shuffle=False)
    assert epoch_of(sampler, 0) == epoch_of(sampler, 1) == [0, 33, 66, 99]


@pytest.mark.parametrize("cap", [None, 7, 20])
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_cap_that_does_not_bind_changes_nothing(cap, shuffle):
    ours = CappedSampler(range(7), max_samples=cap, shuffle=shuffle, seed=3)
    stock = DefaultSampler(range(7), shuffle=shuffle, seed=3)
    assert epoch_of(ours, 2) == epoch_of(stock, 2)


@pytest.mark.parametrize(("round_up", "together"), [(True, 12), (False, 10)])
def test_ranks_share_an_epoch(world, round_up, together):
    parts = []
    for rank in range(3):
        world(rank, 3)
        sampler = CappedSampler(range(50), max_samples=10, seed=1, round_up=round_up)
        parts.append(epoch_of(sampler, 0))
        assert len(parts[-1]) == len(sampler)
    everything = [index for part in parts for index in part]
    assert len(everything) == together
    assert len(set(everything)) == 10


def test_a_cap_below_1_is_refused():
    with pytest.raises(ValueError, match="max_samples"):
        CappedSampler(range(5), max_samples=0)
