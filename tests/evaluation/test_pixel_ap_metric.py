import numpy as np
import pytest

from equikpt.evaluation.pixel_ap_metric import PixelAPMetric, average_precision, match_points


def image(gt, found, scores, types=None, scale: float = 1.0) -> dict:
    """An image of ``scale`` px a px of the input, with (N, K, 3) people and (n, 2) points."""
    gt = np.asarray(gt, float)
    return dict(
        input_size=(256, 256),
        input_scale=np.array([256.0, 256.0]) * scale,
        raw_ann_info=[dict(keypoints=person.ravel().tolist()) for person in gt],
        pred_instances=dict(
            keypoints=np.reshape(np.asarray(found, float), (-1, 1, 2)),
            keypoint_scores=np.reshape(np.asarray(scores, float), (-1, 1)),
            labels=np.zeros(len(scores), int) if types is None else np.asarray(types),
        ),
    )


def evaluate(*images: dict, **options) -> tuple[dict[str, float], PixelAPMetric]:
    metric = PixelAPMetric(**options)
    metric.process([], images)
    return metric.compute_metrics(metric.results), metric


def brute_force(images: list[dict], kind: int, radius: float) -> float:
    """AP point by point, in plain Python, at every score as the threshold."""
    ranked = []
    total = 0
    for each in images:
        people = [person["keypoints"][3 * kind : 3 * kind + 3] for person in each["raw_ann_info"]]
        free = [(x, y) for x, y, v in people if v > 0]
        total += len(free)
        shown = each["pred_instances"]
        own = shown["labels"] == kind
        scores, points = shown["keypoint_scores"][own, 0], shown["keypoints"][own, 0]
        for index in np.argsort(-scores, kind="stable"):
            negative, (x, y) = -float(scores[index]), points[index]
            distances = [((x - u) ** 2 + (y - v) ** 2) ** 0.5 for u, v in free]
            hit = bool(distances) and min(distances) <= radius
            if hit:
                free.pop(distances.index(min(distances)))
            ranked.append((negative, hit))
    curve = []
    for threshold in sorted({negative for negative, _ in ranked}):
        chosen = [hit for negative, hit in ranked if negative <= threshold]
        curve.append((sum(chosen) / total, sum(chosen) / len(chosen)))
    area, before = 0.0, 0.0
    for index, (recall, _) in enumerate(curve):
        area += (recall - before) * max(precision for _, precision in curve[index:])
        before = recall
    return area


@pytest.mark.parametrize("seed", range(12))
def test_it_agrees_with_brute_force_on_random_images(seed):
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(6):
        people = rng.integers(0, 5)
        gt = np.concatenate(
            [rng.uniform(0, 60, (people, 3, 2)), rng.integers(0, 3, (people, 3, 1))], axis=-1
        )
        spots, kinds = [rng.uniform(0, 60, (4, 2))], [rng.integers(0, 3, 4)]
        for kind in range(3):
            spots.append(gt[:, kind, :2] + rng.normal(0, 2, (people, 2)))
            kinds.append(np.full(people, kind))
        spots, kinds = np.concatenate(spots), np.concatenate(kinds)
        scores = (
            rng.choice([0.2, 0.4, 0.5, 0.9], len(kinds)) if seed % 2 else rng.random(len(kinds))
        )
        images.append(image(gt, spots, scores, kinds))
    assert any(len(each["raw_ann_info"]) for each in images), "choose another seed"
    metrics, metric = evaluate(*images, thresholds_px=(1.5, 3))
    for kind in range(3):
        for radius in (1.5, 3):
            got = metric.table.loc[kind, f"AP@{radius:g}px"]
            assert got == pytest.approx(brute_force(images, kind, radius))
    expected = metric.table[["AP@1.5px", "AP@3px"]].mean()
    assert metrics["AP@3px"] == pytest.approx(expected["AP@3px"])
    assert metrics["AP"] == pytest.approx(expected.mean())


def test_the_gt_itself_scores_one_and_nothing_scores_zero():
    gt = [[(10, 20, 2)], [(50, 20, 1)], [(70, 70, 0)]]
    metrics, metric = evaluate(image(gt, [(10, 20), (50, 20)], [0.9, 0.8]))
    assert metrics == {"AP@2px": 1, "AP@4px": 1, "AP": 1}
    assert metric.table["points"].tolist() == [2]
    assert evaluate(image(gt, np.zeros((0, 2)), []))[0]["AP"] == 0


def test_distances_are_in_px_of_the_input():
    """An image three times as large as the input: 9 px there are 3 px."""
    metrics, _ = evaluate(image([[(100, 100, 2)]], [(109, 100)], [0.9], scale=3))
    assert (metrics["AP@2px"], metrics["AP@4px"]) == (0, 1)


def test_a_point_found_twice_is_right_once():
    right = match_points(
        np.array([[10.0, 10], [11, 10]]), np.array([0.5, 0.9]), np.array([[10.0, 10]]), 4
    )
    assert right.tolist() == [False, True]


def test_the_higher_score_takes_the_nearest_that_is_free():
    found, gt = np.array([[0.0, 0], [3, 0]]), np.array([[1.0, 0], [8, 0]])
    assert match_points(found, np.array([0.9, 0.8]), gt, 4).tolist() == [True, False]
    assert match_points(found, np.array([0.9, 0.8]), gt, 5).tolist() == [True, True]


def test_precision_falls_with_wrong_points_of_higher_score():
    right = np.array([False, True, True])
    assert average_precision(right, np.array([0.9, 0.8, 0.7]), 2) == pytest.approx(2 / 3)
    assert average_precision(right, np.array([0.1, 0.8, 0.7]), 2) == 1
    assert average_precision(right, np.array([0.1, 0.8, 0.7]), 4) == 0.5
    assert np.isnan(average_precision(right, np.array([0.1, 0.8, 0.7]), 0))


def test_a_type_without_points_does_not_count():
    metrics, metric = evaluate(image([[(10, 10, 2), (0, 0, 0)]], [(10, 10)], [0.9], [0]))
    assert metrics["AP"] == 1
    assert metric.table["AP@2px"].isna().tolist() == [False, True]


META = dict(keypoint_id2name={0: "nose", 1: "ear"}, sigmas=[0.05, 0.05])


def test_a_type_that_is_not_trained_does_not_count(capsys):
    """It is never found, and its points are labelled here."""
    metric = PixelAPMetric()
    metric.dataset_meta = META | dict(trained_keypoints=[True, False])
    metric.process([], [image([[(10, 10, 2), (40, 40, 2)]], [(10, 10)], [0.9], [0])])
    metrics = metric.compute_metrics(metric.results)
    assert metrics == {"AP@2px": 1, "AP@4px": 1, "AP": 1}
    assert metric.table["keypoint"].tolist() == ["nose", "ear (not trained)"]
    assert metric.table["points"].tolist() == [1, 1]
    assert metric.table["AP@2px"].isna().tolist() == [False, True]
    assert "ear (not trained)" in capsys.readouterr().out
    metric.dataset_meta = META
    assert metric.compute_metrics(metric.results)["AP"] == 0.5


def test_a_set_with_labels_of_what_is_not_trained_alone_is_refused():
    metric = PixelAPMetric()
    metric.dataset_meta = META | dict(trained_keypoints=[True, False])
    metric.process([], [image([[(0, 0, 0), (40, 40, 2)]], [(10, 10)], [0.9], [0])])
    with pytest.raises(ValueError, match="no label in training.*ear"):
        metric.compute_metrics(metric.results)


def test_a_set_without_labels_is_refused():
    with pytest.raises(ValueError, match="none of 1 images"):
        evaluate(image([[(0, 0, 0)]], [(1, 1)], [0.5]))


@pytest.mark.parametrize("thresholds", [(), (0, 2)])
def test_thresholds_above_zero_are_needed(thresholds):
    with pytest.raises(ValueError, match="thresholds_px"):
        PixelAPMetric(thresholds_px=thresholds)
