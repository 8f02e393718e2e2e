import itertools

import numpy as np
import pandas as pd
import pytest

from equikpt.evaluation.counting_metric import CountingMetric
from equikpt.evaluation.functional.point_matching import duplicates, everything_found, match

ROW = np.array([[0.0, 0.0], [100.0, 0.0], [200.0, 0.0]])
"""Three things, 100 px apart; the radius is 20 px."""


def brute_force(gt: np.ndarray, predicted: np.ndarray, radius: float) -> list[int]:
    """The nearest pair again and again, by looking at all pairs that are left."""
    left_true, left_found = set(range(len(gt))), set(range(len(predicted)))
    belongs = [-1] * len(predicted)
    while left_true and left_found:
        pairs = itertools.product(left_true, left_found)
        distance, true, found = min((np.hypot(*(gt[t] - predicted[p])), t, p) for t, p in pairs)
        if distance > radius:
            break
        belongs[found] = true
        left_true.remove(true)
        left_found.remove(found)
    return belongs


@pytest.mark.parametrize("seed", range(30))
def test_matching_is_that_of_brute_force(seed):
    rng = np.random.default_rng(seed)
    gt = rng.uniform(0, 60, (rng.integers(0, 5), 2))
    predicted = rng.uniform(0, 60, (rng.integers(0, 12), 2))
    by_count = [brute_force(gt, predicted[:count], 20.0) for count in range(len(predicted) + 1)]
    assert match(gt, predicted, 20.0).tolist() == by_count[-1]
    found = [sum(index >= 0 for index in belongs) == len(gt) for belongs in by_count]
    assert everything_found(gt, predicted, 20.0).tolist() == found


@pytest.mark.parametrize(
    ("predicted", "belongs", "double"),
    [
        ([[1, 0], [101, 0]], [0, 1], [False, False]),
        ([[5, 0], [1, 0]], [-1, 0], [True, False]),  # the nearer one has it
        ([[1, 0], [50, 0]], [0, -1], [False, False]),  # far from all: wrong, not double
        ([[20, 0]], [0], [False]),
        ([[20.1, 0]], [-1], [False]),
    ],
)
def test_duplicates_by_hand(predicted, belongs, double):
    predicted = np.array(predicted, float)
    found = match(ROW, predicted, 20.0)
    assert found.tolist() == belongs
    assert duplicates(ROW, predicted, found, 20.0).tolist() == double


def sample(gt, predicted, done, scale: float = 1.0) -> dict:
    """A data sample of an image ``scale`` times as large as the input."""
    gt, predicted = (np.array(part, float).reshape(-1, 2) for part in (gt, predicted))
    keypoints = np.column_stack([gt * scale, np.full(len(gt), 2.0)])
    return dict(
        raw_ann_info=dict(keypoints=keypoints.ravel().tolist()),
        pred_instances=dict(
            keypoints=predicted[None] * scale, done_probability=np.array(done, float)[None]
        ),
        input_size=(384, 384),
        input_scale=np.array([384.0, 384.0]) * scale,
        img_path="folder/image.jpg",
    )


def metrics(*samples: dict, **options) -> dict[str, float]:
    metric = CountingMetric(**options)
    metric.process([], samples)
    return metric.evaluate(len(samples))


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_a_perfect_sequence(scale):
    """In px of the input, whatever the size of the image."""
    found = metrics(sample(ROW, ROW + (3, 4), [0, 0, 0, 1], scale))
    assert found["pointing/F1"] == 1
    assert found["pointing/error_px"] == pytest.approx(5)
    assert found["pointing/count_MAE"] == found["pointing/duplicates"] == 0
    for name in ("done_recall", "done_precision", "not_done_recall"):
        assert found[f"pointing/{name}"] == 1


def test_two_images_by_hand():
    """One of three is missed; in the second, one thing is pointed at twice before done."""
    found = metrics(
        sample(ROW, ROW[:2], [0.1, 0.2, 0.9]),
        sample(ROW[:1], [[0, 0], [10, 0]], [0.1, 0.3, 0.7]),
    )
    # second image: done was right at steps 1 and 2 and said at step 2; first: said once, wrongly
    expected = dict(
        **dict(precision=3 / 4, recall=3 / 4, F1=3 / 4, count_MAE=1, count_RMSE=1),
        **dict(duplicates=1 / 4, done_recall=1 / 2, done_precision=1 / 2, not_done_recall=3 / 4),
    )
    assert {name: found[f"pointing/{name}"] for name in expected} == pytest.approx(expected)


def spread_samples(seed: int, count: int = 60) -> list[dict]:
    """Images of 0 to 3 things, each with a distribution of their number that fits half of them."""
    rng = np.random.default_rng(seed)
    images = []
    for number in range(count):
        things = int(rng.integers(0, 4))
        image = sample(ROW[:things], ROW[:things], [0] * things + [1])
        image["img_path"] = f"video{number // 4}_{seed}_{number}.jpg"
        middle = things + rng.normal(0, 1)
        over = 1 / (1 + np.exp(-3 * (np.arange(7) + 0.5 - middle)))
        image["pred_instances"]["over_probability"] = over[None]
        images.append(image)
    return images


def evaluated(images: list[dict], **options) -> tuple[CountingMetric, dict[str, float]]:
    metric = CountingMetric(**options)
    metric.process([], images)
    return metric, metric.evaluate(len(images))


def test_by_halves_intervals_hold_their_level():
    images = [image for seed in range(5) for image in spread_samples(seed)]
    metric, values = evaluated(images)
    assert 0.87 <= values["pointing/count_coverage"] <= 0.97
    assert values["pointing/count_width"] < 4.5
    inside = metric.table.eval("low <= true and true <= high")
    assert inside.mean() == values["pointing/count_coverage"]
    _, half = evaluated(images, level=0.5)
    assert half["pointing/count_coverage"] < values["pointing/count_coverage"] - 0.2
    assert half["pointing/count_width"] < values["pointing/count_width"]


def test_a_fit_to_other_images_is_applied_and_one_to_these_is_not():
    images, others = spread_samples(0), spread_samples(1)
    metric, by_halves = evaluated(images)
    judged, applied = CountingMetric(), CountingMetric()
    judged.record = metric.fitted
    judged.process([], images)
    assert judged.evaluate(len(images)) == by_halves
    applied.record = evaluated(others)[0].fitted
    applied.process([], images)
    applied.evaluate(len(images))
    over = [image["pred_instances"]["over_probability"][0] for image in images]
    expected = [applied.record.interval(each, 0.9) for each in over]
    assert applied.table[["low", "high"]].to_numpy().tolist() == [list(each) for each in expected]


def test_groups_stay_whole():
    images = spread_samples(0, 32)
    assert evaluated(images)[0].fitted.has_level(0.9)
    grouped, values = evaluated(images, group_regex=r"(video\d+)_")
    assert not grouped.fitted.has_level(0.9)  # 8 videos
    assert "pointing/count_coverage" not in values


def test_without_a_distribution_there_are_no_intervals():
    metric, values = evaluated([sample(ROW, ROW, [0, 0, 0, 1])] * 12)
    assert metric.fitted is None
    assert "pointing/count_coverage" not in values
    assert "low" not in metric.table


def test_mean_and_median_of_the_distances():
    found = metrics(
        sample(ROW, ROW + np.array([[1, 0], [2, 0], [9, 0]]), [0, 0, 0, 1]),
        sample(ROW, [], [1]),
    )
    assert found["pointing/error_px"] == pytest.approx(4)
    assert found["pointing/error_px_median"] == pytest.approx(2)
    assert metrics(sample(ROW, [], [1]))["pointing/error_px_median"] == 0


def test_nothing_predicted_and_nothing_there():
    assert metrics(sample(ROW, [], [0.9]))["pointing/F1"] == 0
    empty = metrics(sample([], [], [0.9]), mean_count=2.0)
    assert empty["pointing/count_MAE"] == 0
    assert empty["pointing/count_MAE_of_mean"] == 2  # the control
    assert empty["pointing/done_recall"] == 1


def test_a_row_an_image_is_written(tmp_path):
    path = tmp_path / "images.csv"
    metrics(sample(ROW, ROW[:2], [0.1, 0.2, 0.9]), out_file=str(path))
    (row,) = pd.read_csv(path).to_dict("records")
    assert [row[name] for name in ("image", "true", "predicted", "matched")] == [
        "image.jpg",
        3,
        2,
        2,
    ]


def test_a_radius_of_0_is_refused():
    with pytest.raises(ValueError, match="radius_px"):
        CountingMetric(radius_px=0)
