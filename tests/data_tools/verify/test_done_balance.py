import inspect

import numpy as np
import pytest
from mmengine.config import Config

from equikpt.data_tools.verify.done_balance import (
    DEFAULT_BALANCE,
    DoneBalance,
    HeadOptions,
    balance_of,
    check_balances,
    head_options,
    histogram,
    labelled_slots,
    report,
)
from equikpt.models.sequential_attention_head import SequentialAttentionHead


class Labels:
    """A data set of images of which only the visibilities are known."""

    def __init__(self, *rows: list[float]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def get_data_info(self, index: int) -> dict:
        return dict(keypoints_visible=np.array([self.rows[index]], np.float32))


def things(*counts: int) -> Labels:
    return Labels(*([1.0] * count for count in counts))


def by_hand(row: list[float], balance: str) -> float:
    """Fraction of done in the loss of one image: steps up to the last label, and the one behind."""
    going = max((n + 1 for n, visible in enumerate(row) if visible > 0), default=0)
    if balance == "steps" or going == 0:
        return 1 / (going + 1)
    return 1 / 2


def balances_of(*counts: int) -> dict[str, DoneBalance]:
    return dict(val=balance_of(labelled_slots(things(*counts), named=False)))


def test_a_keypoint_without_label_keeps_its_slot_and_a_thing_is_no_step():
    slots = labelled_slots(Labels([1, 0, 1], [1], []), named=False)
    assert slots.tolist() == [[True, True, False], [True, False, False], [False] * 3]
    assert labelled_slots(Labels([1, 0, 1, 0]), named=True).tolist() == [[True, False, True, False]]


@pytest.mark.parametrize("count", [0, 1, 3, 21])
def test_of_equal_images_one_step_in_n_plus_one_is_done(count):
    (balance,) = balances_of(*[count] * 5).values()
    assert balance.share_of_steps == pytest.approx(1 / (count + 1))
    even = 0.5 if count else 1
    assert balance.share_of_loss == pytest.approx(
        dict(steps=1 / (count + 1), balanced=even, sampled=even)
    )


@pytest.mark.parametrize("named", [False, True], ids=["things", "keypoints"])
@pytest.mark.parametrize("seed", range(5))
def test_shares_are_those_counted_by_hand(seed, named):
    rng = np.random.default_rng(seed)
    rows = [(rng.random(rng.integers(0, 9)) < 0.7).astype(float).tolist() for _ in range(12)]
    balance = balance_of(labelled_slots(Labels(*rows), named))
    kept = rows if named else [[1.0] * int(sum(row)) for row in rows]
    for name, fraction in balance.share_of_loss.items():
        assert fraction == pytest.approx(np.mean([by_hand(row, name) for row in kept])), name
    steps = [round(1 / by_hand(row, "steps")) for row in kept]
    assert balance.share_of_steps == pytest.approx(len(rows) / sum(steps))
    assert balance.counts == tuple(int(sum(row)) for row in rows)


@pytest.mark.parametrize(
    ("count", "configured", "found"),
    [
        (18, "steps", False),  # one in nineteen
        (20, "steps", True),  # one in twenty-one
        (20, "balanced", False),
        (20, "sampled", False),
    ],
)
def test_a_share_below_a_twentieth_has_to_change(count, configured, found):
    issues = check_balances(balances_of(count), HeadOptions(configured, 64, named=False))
    assert [issue.code for issue in issues] == ["done_share"] * found
    for issue in issues:
        assert "4.8 %" in issue.message
        assert "model.head.done_balance=balanced (50.0 %)" in issue.fix


@pytest.mark.parametrize(("room", "found"), [(3, ["too_many_points"]), (5, [])])
def test_images_that_the_head_has_no_room_for_are_counted(room, found):
    issues = check_balances(balances_of(3, 4, 5), HeadOptions("balanced", room, named=False))
    assert [issue.code for issue in issues] == found
    assert all("2 images" in issue.message for issue in issues)


@pytest.mark.parametrize("low", [0, 7])
@pytest.mark.parametrize("spread", [1, 12, 13, 500])
def test_the_histogram_holds_every_image_once(low, spread):
    counts = np.random.default_rng(spread).integers(low, low + spread, 300)
    lines = histogram(counts)
    assert len(lines) <= 12
    assert sum(int(line.split()[-1]) for line in lines) == 300
    assert max(line.count("█") for line in lines) == 40


def test_bars_stand_at_their_numbers():
    lines = histogram(np.array([2, 2, 4]))
    assert [line.split()[0] for line in lines] == ["2", "3", "4"]
    assert [line.split()[-1] for line in lines] == ["2", "0", "1"]
    assert [line.count("█") for line in lines] == [40, 0, 20]


def test_the_report_marks_what_is_configured():
    balances = dict(train=DoneBalance((1, 3), 1 / 3, dict(steps=0.375, balanced=0.5)))
    text = "\n".join(report(balances, HeadOptions("balanced", 64, named=False)))
    assert "train: 2 images, 2.0 points each (min 1, median 2, max 3)" in text
    assert "33.3 %" in text
    assert [line for line in text.splitlines() if "as configured" in line] == [
        "  done in the loss      50.0 % with done_balance=balanced (as configured)"
    ]


def test_a_config_that_names_no_balance_has_the_heads():
    default = inspect.signature(SequentialAttentionHead).parameters["done_balance"].default
    assert default == DEFAULT_BALANCE
    cfg = Config(dict(model=dict(head=dict(max_points=26, mode="keypoints"))))
    assert head_options(cfg) == HeadOptions(default, 26, named=True)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (dict(type="RTMCCHead"), "points in sequences"),
        (dict(max_points=3, done_balance="half"), "steps, balanced, sampled"),
    ],
    ids=["head", "balance"],
)
def test_other_heads_and_balances_are_refused(head, words):
    with pytest.raises(ValueError, match=words):
        head_options(Config(dict(model=dict(head=head))))
