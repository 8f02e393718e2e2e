from __future__ import annotations

import numpy as np
import pytest

from equikpt.evaluation.visibility_metric import VisibilityMetric

META = dict(sigmas=np.array([0.05, 0.05]), keypoint_id2name={0: "nose", 1: "hoof"})
RIGHT = np.array([[2, 0], [1, 2], [2, 1], [0, 2]])


def samples(visibility: np.ndarray, branch: bool, sign: int = 1) -> list[dict]:
    """Predictions that know the visibilities, or with sign -1 the opposite."""
    rows = []
    for row in visibility:
        instances = dict(keypoint_scores=0.5 + sign * (row[None] > 0) / 4)
        if branch:
            instances = dict(
                keypoint_scores=np.full((1, 2), 0.5),
                keypoints_presence=0.5 + sign * (row[None] > 0) / 4,
                keypoints_seen=0.5 + sign * (row[None] > 1) / 4,
            )
        points = np.column_stack([np.zeros((2, 2)), row]).ravel().tolist()
        rows.append(dict(raw_ann_info=dict(keypoints=points), pred_instances=instances))
    return rows


def evaluate(rows: list[dict], meta: dict = META) -> tuple[VisibilityMetric, dict]:
    metric = VisibilityMetric()
    metric.dataset_meta = meta
    metric.process({}, rows)
    return metric, metric.evaluate(size=len(rows))


@pytest.mark.parametrize("branch", [False, True])
def test_right_and_wrong_order(branch):
    metric, right = evaluate(samples(RIGHT, branch))
    _, wrong = evaluate(samples(RIGHT, branch, sign=-1))
    assert right["visibility/presence_AP"] == right["visibility/presence_AUC"] == 1
    assert wrong["visibility/presence_AUC"] == 0
    assert wrong["visibility/presence_AP"] < 0.8
    assert ("visibility/seen_AUC" in right) == branch
    if branch:
        assert (right["visibility/seen_AUC"], wrong["visibility/seen_AUC"]) == (1, 0)
    table = metric.table.set_index("keypoint")
    assert table.loc["all", ["present", "absent", "hidden"]].tolist() == [6, 2, 2]


def test_a_keypoint_that_is_not_trained_is_left_out():
    rows = samples(RIGHT, branch=True)
    for row in rows:
        row["pred_instances"]["keypoints_presence"][:, 1] = 0  # as it is silenced
    _, counted = evaluate(rows)
    metric, left_out = evaluate(rows, META | dict(trained_keypoints=[True, False]))
    assert counted["visibility/presence_AUC"] < 1
    assert left_out["visibility/presence_AUC"] == 1
    assert metric.table["keypoint"].tolist() == ["nose", "all"]


def test_refuses_samples_of_whole_images():
    whole = samples(RIGHT, branch=True)
    whole[0]["raw_ann_info"] = [whole[0]["raw_ann_info"]]
    with pytest.raises(ValueError, match="top-down"):
        evaluate(whole)
