import numpy as np
import pytest
import torch

from equikpt.apis.ruler_look import Plausible, learn_look, record_limits, recorded_limits
from equikpt.compat.safe_load import load_from_local
from equikpt.structures import RecordError
from tests.drawn_rulers import UPRIGHT, draw_comb, marks_at


def rulers(count: int = 12, **drawn):
    for number in range(count):
        marks = marks_at(number)
        yield draw_comb(marks, brightness=60 + 10 * number, seed=number, **drawn), marks


@pytest.fixture(scope="module")
def look():
    return learn_look(rulers())


@pytest.mark.parametrize("number", range(20, 26))
def test_a_ruler_of_the_kind_is_believed(look, number):
    marks = marks_at(number)
    near = marks + np.random.default_rng(number).normal(0, 0.5, (2, 2))
    assert look.objection(draw_comb(marks, seed=number), near) == ""


@pytest.mark.parametrize(
    ("drawn", "reason"),
    [
        (dict(teeth=20), "ticks every 5.0 px, expected 9."),
        (dict(teeth=7), "ticks every 14.2 px"),
        (dict(teeth=0), "unlike those of the labels"),
        (dict(brightness=0), "unlike those of the labels"),
        (dict(length=0.6), "a part of the ruler looks unlike those of the labels"),
    ],
    ids=["finer", "coarser", "bar", "nothing", "shorter"],
)
def test_another_ruler_is_refused_with_the_reason(look, drawn, reason):
    assert reason in look.objection(draw_comb(**drawn), UPRIGHT)


def test_marks_that_miss_the_ends_of_the_ruler_are_refused(look):
    middle = UPRIGHT.mean(axis=0)
    too_long = middle + (UPRIGHT - middle) * 1.05
    assert "marks 105.0 px apart, but the ruler" in look.objection(draw_comb(), too_long)


def test_the_ticks_of_the_labelled_rulers_are_learnt(look):
    least, most = look.ticks
    assert least < 10 < most
    assert most / least < 1.25
    assert learn_look(rulers(teeth=0)).ticks is None


def test_few_labels_or_rulers_that_share_nothing_teach_no_look():
    assert learn_look(rulers(7)) is None
    noise = np.random.default_rng(0).integers(0, 255, (10, 320, 220), np.uint8)
    assert learn_look((gray, UPRIGHT) for gray in noise) is None


def test_a_set_of_two_kinds_has_both_believed_and_no_third():
    both = learn_look([*rulers(8), *rulers(8, teeth=16.0)])
    assert len(both.templates) == 2
    assert both.ticks is None
    for teeth in (10, 16):
        assert both.objection(draw_comb(teeth=teeth), UPRIGHT) == ""
    assert "unlike" in both.objection(draw_comb(teeth=13), UPRIGHT)


def test_a_mistaken_label_among_many_lowers_no_limit():
    known, lost = list(rulers(60)), (draw_comb(brightness=0), UPRIGHT)
    clean, with_one = learn_look(known), learn_look([*known, lost])
    assert with_one.min_likeness == pytest.approx(clean.min_likeness, abs=0.1)
    assert with_one.min_third == pytest.approx(clean.min_third, abs=0.1)


def test_limits_travel_in_a_checkpoint(tmp_path):
    limits = Plausible((0.1, 0.2), (60.0, 120.0), 0.4, learn_look(rulers()), "9 rulers of a.json")
    checkpoint = dict(state_dict={}, meta={})
    record_limits(checkpoint, limits)
    torch.save(checkpoint, tmp_path / "best.pth")
    assert (tmp_path / "best.pth").stat().st_size < 100_000
    again = recorded_limits(load_from_local(str(tmp_path / "best.pth")))
    np.testing.assert_allclose(again.look.templates, limits.look.templates, atol=2e-3)
    assert again.look.templates.dtype == np.float32
    for gray, marks in rulers(2):
        assert again.look.objection(gray, marks) == limits.look.objection(gray, marks) == ""
        assert again.look.objection(gray, marks + [[0, 0], [9, 9]])
    plain = [{**each.to_dict(), "look": None} for each in (again, limits)]
    assert plain[0] == plain[1]
    record_limits(checkpoint, Plausible())
    assert recorded_limits(checkpoint) == Plausible()
    assert recorded_limits(dict(meta={})) is None


@pytest.mark.parametrize("changes", [dict(kind="rod"), dict(look=dict(templates=torch.zeros(1)))])
def test_limits_of_another_version_are_one_sentence(changes):
    plain = {**Plausible().to_dict(), **changes}
    with pytest.raises(
        RecordError, match=r"'ruler_limits'.*it (has also kind|lacks min_like).*--fit"
    ):
        recorded_limits(dict(meta=dict(ruler_limits=plain)))
