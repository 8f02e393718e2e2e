import numpy as np
import pytest

from equikpt.core.ruler_strip import (
    ROW,
    fit_templates,
    read_ticks,
    strip_along,
    strongest_period,
    ticks_and_ends,
)
from tests.drawn_rulers import UPRIGHT, draw_comb, marks_at


def likeness(first, second) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


@pytest.mark.parametrize("number", range(4))
def test_a_ruler_has_one_strip_wherever_it_lies(number):
    strip = strip_along(draw_comb(), UPRIGHT)
    marks = marks_at(number)
    elsewhere = strip_along(draw_comb(marks), marks)
    assert strip.shape == elsewhere.shape == (125, 37)
    assert likeness(strip, elsewhere) > 0.95
    assert likeness(strip, strip_along(draw_comb(marks), marks[::-1])) < 0.8  # upside down


def test_a_strip_begins_at_p1_and_goes_on_beyond_the_image():
    ramp = np.repeat(np.arange(320, dtype=np.float32)[:, None], 220, axis=1)
    strip = strip_along(ramp, UPRIGHT, ahead=0.1, aside=0.05)
    assert strip.shape == (121, 11)
    assert strip[:, 5] == pytest.approx(np.linspace(240, 120, 121), abs=0.05)
    beyond = strip_along(ramp, np.array([[110.0, 315.0], [110.0, 215.0]]), ahead=0.1)
    assert beyond[0] == pytest.approx(319)


def test_a_large_radiograph_is_not_undersampled():
    """Stripes of 2 px, of which a row sees 4, are gray and no other stripes."""
    stripes = np.zeros((900, 200), np.uint8)
    stripes[::2] = 200
    strip = strip_along(stripes, np.array([[100.0, 800.0], [100.0, 400.0]]))
    assert strip == pytest.approx(100, abs=5)


@pytest.mark.parametrize("count", [4.0, 8.3, 11.37, 20.0, 33.3])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_a_planted_period_is_found(count, noise):
    way = np.arange(101) * ROW
    rng = np.random.default_rng(0)
    strip = np.sin(2 * np.pi * count * way + 1)[:, None] + rng.normal(0, noise, (101, 37))
    ticks = strongest_period(strip)
    assert ticks.spacings == pytest.approx(count, rel=0.02)
    assert ticks.strength > 0.5


def test_noise_and_flat_strips_have_no_period():
    strip = np.random.default_rng(0).normal(size=(101, 37))
    assert strongest_period(strip).strength < 0.2
    assert strongest_period(np.full((101, 37), 7.0)).strength == 0


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("teeth", [6.0, 11.0])
def test_ticks_are_counted_from_mark_to_mark(number, teeth):
    marks = marks_at(number)
    ticks = read_ticks(draw_comb(marks, teeth), marks)
    assert ticks.spacings == pytest.approx(teeth, rel=0.03)
    assert ticks.strength > 0.5
    assert read_ticks(draw_comb(marks, teeth=0), marks).strength < 0.5


TEMPLATE = ticks_and_ends(strip_along(draw_comb(seed=1), UPRIGHT))[None]


@pytest.mark.parametrize("length", [0.94, 0.975, 1.0, 1.04])
def test_the_length_of_a_ruler_near_the_marks_is_found(length):
    middle = UPRIGHT.mean(axis=0)
    off = middle + (UPRIGHT - middle) / length + [1.5, 2.0]
    fit = fit_templates(draw_comb(), off, TEMPLATE)
    assert fit.stretch == pytest.approx(length, abs=0.01)
    assert fit.likeness > 0.9


def test_a_mirrored_ruler_is_alike_and_others_are_not():
    mirrored = np.ascontiguousarray(draw_comb()[:, ::-1])
    assert fit_templates(mirrored, [219, 0] + UPRIGHT * [-1, 1], TEMPLATE).likeness > 0.9
    for other in (draw_comb(teeth=15), draw_comb(teeth=0), draw_comb(brightness=0)):
        assert fit_templates(other, UPRIGHT, TEMPLATE).likeness < 0.6


def test_brightness_and_a_shadow_across_do_not_change_the_look():
    shaded = draw_comb().astype(np.float32)
    shaded[:, :104] *= 0.4
    assert likeness(TEMPLATE, ticks_and_ends(strip_along(shaded, UPRIGHT))) > 0.7
    assert likeness(TEMPLATE, ticks_and_ends(strip_along(draw_comb(brightness=40), UPRIGHT))) > 0.9
