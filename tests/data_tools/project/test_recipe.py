from __future__ import annotations

from dataclasses import replace

import pytest

from equikpt.data_tools.project.recipe import (
    EFFICIENTNET,
    HRNET,
    MAX_EPOCHS,
    RTMPOSE,
    SHORT_SAMPLES,
    WEIGHTS,
    DataFacts,
    MachineFacts,
    Recipe,
    recommend,
)

HORSES = DataFacts(26, {"train": 650, "val": 82}, 500.0, 1.3)
CPU = MachineFacts(2, 16 * 2**30)
GPU = replace(CPU, gpu="a GPU")
ALL = tuple(WEIGHTS.values())
SPEEDS = {EFFICIENTNET: 55.0, HRNET: 150.0, RTMPOSE: 400.0}


def speed(recipe: Recipe) -> float:
    return SPEEDS[recipe.network]


def of(instances: int) -> DataFacts:
    return replace(HORSES, instances={"train": instances, "val": max(1, instances // 8)})


@pytest.mark.parametrize(
    ("machine", "minutes", "weights", "network"),
    [
        (CPU, 20, ALL, EFFICIENTNET),
        (GPU, 20, (), EFFICIENTNET),
        (GPU, 20, ALL, HRNET),
        (GPU, 1, ALL, RTMPOSE),
        (GPU, 1, ("hrnet_w32_ap10k",), HRNET),
        (GPU, 20, ("rtmpose_m_ap10k",), RTMPOSE),
    ],
)
def test_the_machine_and_the_weights_choose_the_network(machine, minutes, weights, network):
    recipe = recommend(HORSES, machine, minutes, weights, speed)
    assert recipe.network == network
    assert recipe.weights == WEIGHTS.get(network, "")
    (reason,) = (choice.reason for choice in recipe.choices if choice.name == "network")
    assert ("no weights of HRNet" in reason) == (network == RTMPOSE and weights != ALL)


@pytest.mark.parametrize(
    ("box_px", "aspect", "machine", "weights", "size", "test_size"),
    [
        (300, 1.0, CPU, (), 192, 224),
        (60, 1.0, CPU, (), 128, 160),
        (300, 1.0, GPU, ALL, 256, 256),
        (300, 1.0, GPU, (), 256, 288),
    ],
)
def test_tests_see_larger_crops_where_that_was_measured(
    box_px, aspect, machine, weights, size, test_size
):
    data = replace(HORSES, box_px=box_px, box_aspect=aspect)
    recipe = recommend(data, machine, 20, weights, speed)
    assert (recipe.input_size, recipe.test_size) == ((size, size), (test_size, test_size))


def test_oblong_crops_stay():
    recipe = recommend(replace(HORSES, box_aspect=2.0), CPU, 20)
    assert recipe.input_size == recipe.test_size == (256, 160)


@pytest.mark.parametrize(
    ("box_px", "aspect", "machine", "size"),
    [
        (500, 1.3, CPU, (192, 192)),
        (500, 1.6, CPU, (256, 160)),
        (500, 0.5, CPU, (160, 256)),
        (50, 1.0, CPU, (128, 128)),
        (50, 2.0, GPU, (160, 96)),
        (500, 1.0, GPU, (256, 256)),
    ],
)
def test_the_boxes_choose_the_input(box_px, aspect, machine, size):
    recipe = recommend(replace(HORSES, box_px=box_px, box_aspect=aspect), machine, 20)
    assert recipe.input_size == size
    assert all(side % 32 == 0 for side in size)


def test_the_minutes_choose_the_epochs():
    short, long = (recommend(HORSES, CPU, minutes, speed=speed) for minutes in (5, 20))
    assert short.epochs < long.epochs
    assert short.minutes == pytest.approx(5, rel=0.2)
    assert long.minutes == pytest.approx(20, rel=0.1)
    assert long.samples is None
    faster = recommend(HORSES, CPU, 20, speed=lambda recipe: 2 * speed(recipe))
    assert 1.5 * long.epochs < faster.epochs < 3 * long.epochs
    assert recommend(HORSES, CPU, 1000).epochs == MAX_EPOCHS


def test_few_images_get_more_epochs_and_steps():
    few, many = recommend(of(20), CPU, 20), recommend(of(650), CPU, 20)
    assert few.epochs > MAX_EPOCHS
    assert (few.batch, many.batch) == (8, 16)
    assert recommend(of(650), replace(CPU, memory=2**30), 20).batch == 8


def test_short_trainings_take_small_steps_and_mild_augmentation():
    short, long = (recommend(of(333), CPU, minutes, speed=speed) for minutes in (1, 20))
    assert 333 * short.epochs < SHORT_SAMPLES <= 333 * long.epochs
    assert (short.batch, short.mild, long.batch, long.mild) == (8, True, 16, False)
    assert not recommend(of(333), GPU, 1, ("rtmpose_m_ap10k",), lambda _: 10.0).mild
    assert not recommend(of(20), CPU, 20).mild  # few images, many epochs
    assert recommend(of(20_000), CPU, 2, speed=lambda _: 10.0).mild  # parts of many images


def test_an_epoch_of_many_images_is_a_part_of_them():
    recipe = recommend(of(20_000), CPU, 20, speed=speed)
    assert recipe.samples < 20_000 / 3
    assert recipe.epochs >= 10
    assert recipe.minutes == pytest.approx(20, rel=0.2)


@pytest.mark.parametrize("instances", [1, 12, 333, 50_000])
@pytest.mark.parametrize("minutes", [0.1, 20, 10_000])
def test_every_recipe_can_be_trained(instances, minutes):
    recipe = recommend(of(instances), CPU, minutes)
    assert 0 < recipe.warm_up < recipe.epochs
    assert 0 < recipe.val_interval <= recipe.epochs
    assert all(choice.value and choice.reason for choice in recipe.choices)


def test_too_few_minutes_are_said():
    reason = {each.name: each.reason for each in recommend(HORSES, CPU, 0.5).choices}["epochs"]
    assert "--minutes" in reason


def test_only_what_is_to_be_chosen_is_measured():
    measured = []

    def take(recipe: Recipe) -> float:
        measured.append(recipe.network)
        return speed(recipe)

    recommend(HORSES, CPU, 20, ALL, take)
    recommend(HORSES, GPU, 20, ("rtmpose_m_ap10k",), take)
    recommend(HORSES, GPU, 1, ALL, take)
    assert measured == [EFFICIENTNET, RTMPOSE, HRNET, RTMPOSE]


def test_an_assumed_speed_is_said():
    measured, assumed = (recommend(HORSES, CPU, 20, speed=how) for how in (speed, lambda _: None))
    reasons = [
        {each.name: each.reason for each in r.choices}["epochs"] for r in (measured, assumed)
    ]
    assert ["assumed" in reason for reason in reasons] == [False, True]


@pytest.mark.parametrize(("busy", "said"), [(0.1, False), (0.9, True)])
def test_a_speed_measured_beside_other_programs_is_said(busy, said):
    recipe = recommend(HORSES, replace(CPU, busy=busy), 20, speed=speed)
    reason = {each.name: each.reason for each in recipe.choices}["epochs"]
    assert ("other programs" in reason) == said
