from __future__ import annotations

import numpy as np
import pytest

from equikpt.core.groups import GroupRule
from equikpt.evaluation.uncertainty_metric import UncertaintyMetric

META = dict(sigmas=np.array([0.1, 0.1]), keypoint_id2name={0: "nose", 1: "hoof"})
SIDE_PX = 200.0


def samples(count: int, seed: int = 0, factor: float = 1.0, raw: bool = False) -> list[dict]:
    """Instances whose errors are ``factor`` times what their spread says, on average."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        spread_px = rng.uniform(1, 20, 2)
        errors_px = factor * spread_px * rng.rayleigh(1, 2)
        angle = rng.uniform(0, 2 * np.pi, 2)
        gt = rng.uniform(50, 150, (2, 2))
        found = gt + errors_px[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        scores = (1 / spread_px)[None]  # far too low, but in the right order
        instances = dict(
            keypoints=found[None], keypoint_scores=scores, keypoint_spread=spread_px[None]
        )
        if raw:
            instances.update(keypoint_scores=np.ones((1, 2)), keypoint_raw_scores=scores)
        visibility = np.array([2, 2 if rng.random() < 0.8 else 0])
        annotation = dict(keypoints=np.column_stack([gt, visibility]).ravel().tolist())
        annotation["area"] = SIDE_PX**2
        size = dict(input_scale=np.array([400.0, 400.0]), input_size=(200, 200))
        path = f"video{number // 4}_{number}.jpg"
        rows.append(dict(raw_ann_info=annotation, pred_instances=instances, img_path=path, **size))
    return rows


def evaluate(rows: list[dict], metric: UncertaintyMetric | None = None, meta: dict = META) -> tuple:
    metric = metric or UncertaintyMetric()
    metric.dataset_meta = meta
    metric.process({}, rows)
    return metric, metric.evaluate(size=len(rows))


def test_by_halves_radii_cover_and_scores_hit_as_often_as_they_say():
    metric, values = evaluate(samples(400))
    assert values["uncertainty/coverage"] == pytest.approx(0.9, abs=0.03)
    assert values["uncertainty/ECE"] < 0.05 < values["uncertainty/raw_ECE"]
    assert values["uncertainty/radius_ratio"] < 3
    assert metric.table["coverage"].tolist() == pytest.approx(metric.table["level"], abs=0.05)


def test_a_fit_to_other_labels_is_held_against_these():
    fitted, _ = evaluate(samples(400))
    metric = UncertaintyMetric()
    metric.record = fitted.fitted
    _, same_kind = evaluate(samples(400, seed=1, raw=True), metric)
    assert same_kind["uncertainty/coverage"] == pytest.approx(0.9, abs=0.03)
    _, worse = evaluate(samples(400, seed=1, factor=2.0), metric)
    assert worse["uncertainty/coverage"] < 0.75  # a shift shows, as it does not by halves


def test_a_fit_to_the_very_labels_is_not_judged_by_them():
    rows = samples(40)
    metric, by_halves = evaluate(rows)
    metric.record = metric.fitted
    assert evaluate(rows, metric)[1] == by_halves


def test_groups_stay_whole():
    rows = samples(80)
    alone, _ = evaluate(rows)
    grouped, _ = evaluate(rows, UncertaintyMetric(rule=GroupRule(regex=r"(video\d+)_")))
    # 20 videos: their 0.9 quantile is the 19th of 21 weights, above that of 80 images
    assert (grouped.fitted.factors[0] >= alone.fitted.factors[0]).all()
    assert np.isinf(grouped.fitted.factors[0, -1])


def test_keypoints_that_are_not_trained_are_left_out():
    rows = samples(60)
    _, both = evaluate(rows)
    for row in rows:
        row["pred_instances"]["keypoints"][0, 1] += 1000
    _, one = evaluate(rows, meta={**META, "trained_keypoints": [True, False]})
    assert one["uncertainty/radius_px"] == pytest.approx(both["uncertainty/radius_px"], rel=0.3)
    assert evaluate(rows)[1]["uncertainty/radius_px"] > 10 * one["uncertainty/radius_px"]


def test_a_model_without_spread_gets_no_values():
    rows = samples(20)
    for row in rows:
        del row["pred_instances"]["keypoint_spread"]
    metric, values = evaluate(rows + samples(1))
    assert values == {}  # one image has no halves
    assert metric.fitted is not None
