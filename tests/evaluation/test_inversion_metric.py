from __future__ import annotations

import numpy as np
import pytest

from equikpt.evaluation.inversion_metric import InversionMetric

NAMES = ["nose", "l_elbow", "r_elbow", "l_hoof", "r_hoof"]
SWAP = [0, 2, 1, 4, 3]
META = dict(keypoint_id2name=dict(enumerate(NAMES)), sigmas=np.full(5, 0.05), flip_indices=SWAP)
SIDE = np.array([[0, 0], [40, 50], [42, 50], [36, 100], [48, 98]], float)
FRONT = np.array([[50, 0], [60, 50], [40, 50], [62, 100], [38, 100]], float)


def sample(pose: np.ndarray, predicted: np.ndarray, number: int = 0) -> dict:
    points = np.column_stack([pose, np.full(5, 2)]).ravel().tolist()
    return dict(
        img_path=f"horse{number // 2}_{number}.jpg",
        raw_ann_info=dict(keypoints=points, bbox=[0, 0, 60, 100], area=6000.0),
        pred_instances=dict(keypoints=predicted[None], keypoint_scores=np.ones((1, 5))),
    )


def evaluate(samples: list[dict], meta: dict = META, **options) -> tuple[InversionMetric, dict]:
    metric = InversionMetric(**{"resamples": 50, **options})
    metric.dataset_meta = meta
    metric.process({}, samples)
    return metric, metric.evaluate(size=len(samples))


def doubled(pose: np.ndarray) -> np.ndarray:
    """Both hooves on the right leg: one inversion."""
    return pose[[0, 1, 2, 4, 4]]


def test_planted_inversions_are_counted_by_view():
    planted = [sample(SIDE, doubled(SIDE), 0), sample(SIDE, SIDE, 1), sample(FRONT, FRONT[SWAP], 2)]
    metric, values = evaluate(planted)
    assert values["inversion/side"] == 1 / 8  # elbows behind each other are none
    assert values["inversion/front"] == 1.0
    assert values["inversion/all"] == 5 / 12
    assert metric.table["view"].tolist() == ["all", "side", "front"]
    assert metric.table["inverted"].tolist() == [5, 1, 4]
    assert "front" in metric.summary()


def test_right_predictions_and_misses_are_no_inversions():
    shifted = FRONT + [0, 40]
    _, values = evaluate([sample(FRONT, FRONT), sample(FRONT, shifted), sample(SIDE, SIDE)])
    assert set(values.values()) == {0.0}


def test_a_set_without_pairs_has_no_value():
    metric, values = evaluate([sample(FRONT, FRONT[SWAP])], META | dict(flip_indices=[*range(5)]))
    assert values == {}
    assert metric.summary() == ""


def test_a_keypoint_that_is_not_trained_is_left_out():
    trained = [True, True, True, False, False]
    rows = [sample(FRONT, doubled(FRONT))]
    assert evaluate(rows)[1]["inversion/all"] > 0
    assert evaluate(rows, META | dict(trained_keypoints=trained))[1]["inversion/all"] == 0


def test_groups_are_drawn_as_a_whole():
    rows = [sample(SIDE, doubled(SIDE) if i < 2 else SIDE, i) for i in range(8)]
    tables = [
        evaluate(rows, group_regex=regex, resamples=300)[0].table.iloc[0]
        for regex in ("", r"(horse\d)_")
    ]
    widths = [table["rate_high"] - table["rate_low"] for table in tables]
    assert widths[1] > widths[0]


def test_refuses_what_it_cannot_measure():
    whole = sample(FRONT, FRONT)
    whole["raw_ann_info"] = [whole["raw_ann_info"]]
    with pytest.raises(ValueError, match="top-down"):
        evaluate([whole])
    with pytest.raises(ValueError, match="resamples"):
        InversionMetric(resamples=-1)
