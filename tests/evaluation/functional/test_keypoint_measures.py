from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from equikpt.evaluation.functional.keypoint_errors import keypoint_ap
from equikpt.evaluation.functional.keypoint_measures import (
    KeypointMetrics,
    PosePredictions,
    format_table,
)
from equikpt_runtime.boxes import oks

THRESHOLDS = (0.05, 0.1, 0.2)
SCHEME = dict(
    names=("nose", "l_knee", "r_knee", "tail"),
    sigmas=np.array([0.03, 0.06, 0.06, 0.1]),
    swap=(0, 2, 1, 3),
)


def some_poses(count: int = 30, seed: int = 0) -> PosePredictions:
    """Random ground truth and errors, some sides exchanged; the tail is labelled nowhere."""
    rng = np.random.default_rng(seed)
    gt = rng.uniform(0, 200, (count, 4, 2))
    predicted = gt + rng.normal(0, 8, gt.shape)
    predicted[: count // 5] = predicted[: count // 5, list(SCHEME["swap"])]
    visibility = rng.integers(0, 3, (count, 4))
    visibility[:, 3] = 0
    boxes = np.column_stack([np.zeros((count, 2)), rng.uniform(80, 200, (count, 2))])
    return PosePredictions(
        predicted, rng.random((count, 4)), gt, visibility, boxes, boxes[:, 2] * boxes[:, 3] / 2
    )


def mean(values: list) -> float:
    return float(np.mean(values)) if values else np.nan


def by_hand(pose: PosePredictions) -> list[dict]:
    """Every measure of a table, by loops over points."""
    rows = []
    for keypoints in ([0], [1], [2], [3], [0, 1, 2, 3]):
        errors, fractions, swapped = [], [], []
        for i in range(len(pose.gt)):
            side = max(pose.boxes[i][2], pose.boxes[i][3])
            for k in keypoints:
                other = SCHEME["swap"][k]
                if pose.visibility[i, k] == 0:
                    continue
                x, y = pose.predicted[i, k]
                errors.append(np.hypot(x - pose.gt[i, k, 0], y - pose.gt[i, k, 1]))
                fractions.append(errors[-1] / side)
                if other != k and pose.visibility[i, other] > 0:
                    to_other = np.hypot(x - pose.gt[i, other, 0], y - pose.gt[i, other, 1])
                    swapped.append(fractions[-1] > 0.1 and to_other <= 0.1 * side)
        row = dict(
            labelled=len(errors),
            error=mean(fractions),
            error_px=mean(errors),
            median_error_px=np.median(errors) if errors else np.nan,
            swapped=mean(swapped),
        )
        row |= {f"PCK@{t:g}": mean([f <= t for f in fractions]) for t in THRESHOLDS}
        rows.append(row)
    return rows


def test_the_table_is_what_loops_over_points_find():
    pose = some_poses()
    table = KeypointMetrics(pose, THRESHOLDS, **SCHEME).table()
    assert table["keypoint"].tolist() == ["nose", "l_knee", "r_knee", "tail", "all"]
    expected = pd.DataFrame(by_hand(pose))
    pd.testing.assert_frame_equal(table[list(expected)], expected, check_dtype=False)
    assert table.loc[1, "swapped"] > 0.1
    assert np.isnan(table.loc[0, "swapped"])  # the nose has no other side


def test_ap_is_that_of_each_keypoint_and_over_all_their_mean():
    pose = some_poses()
    distance = np.linalg.norm(pose.predicted - pose.gt, axis=-1)
    distance[pose.visibility == 0] = np.nan
    ap = keypoint_ap(oks(distance, pose.areas, SCHEME["sigmas"]), pose.scores)
    table = KeypointMetrics(pose, THRESHOLDS, **SCHEME).table()
    np.testing.assert_allclose(table["AP"], [*ap, np.nanmean(ap)])


def test_a_sample_is_a_table_of_repeated_instances():
    pose = some_poses()
    measures = KeypointMetrics(pose, THRESHOLDS, **SCHEME)
    weights = np.random.default_rng(1).integers(0, 3, (5, 30))
    for sample, times in zip(measures.compute(weights), weights, strict=True):
        again = PosePredictions(
            *(np.repeat(getattr(pose, field.name), times, axis=0) for field in fields(pose))
        )
        table = KeypointMetrics(again, THRESHOLDS, **SCHEME).table()
        np.testing.assert_allclose(sample.T, table[list(measures.names)], atol=1e-12)


def test_intervals_hold_the_values_and_are_wider_over_groups():
    pose = some_poses(40)
    # ten groups of four instances that are the same
    pose = pose.instances(np.repeat(np.arange(10), 4))
    measures = KeypointMetrics(pose, THRESHOLDS, **SCHEME)
    by_group = measures.table(np.repeat(np.arange(10), 4), resamples=300)
    alone = measures.table(np.arange(40), resamples=300)
    for table in (by_group, alone):
        for name in measures.names:
            row = table.loc[table["keypoint"] == "all"].iloc[0]
            assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
    widths = [(t["error_px_high"] - t["error_px_low"]).dropna() for t in (by_group, alone)]
    assert (widths[0] > 1.5 * widths[1]).all()
    pd.testing.assert_frame_equal(by_group, measures.table(np.repeat(np.arange(10), 4), 300))


def test_of_one_group_there_is_no_interval():
    measures = KeypointMetrics(some_poses(), THRESHOLDS, **SCHEME)
    table = measures.table(np.zeros(30, int), resamples=20)
    assert table.filter(regex="_(low|high)$").isna().all(axis=None)
    assert "nan" not in format_table(table).lower()


def test_visibilities_divide_the_labelled_points():
    pose = some_poses()
    hidden, seen = (
        KeypointMetrics(pose, THRESHOLDS, **SCHEME, visibility=value).table() for value in (1, 2)
    )
    whole = KeypointMetrics(pose, THRESHOLDS, **SCHEME).table()
    np.testing.assert_array_equal(hidden["labelled"] + seen["labelled"], whole["labelled"])
    sums = (hidden["labelled"] * hidden["error_px"].fillna(0)
            + seen["labelled"] * seen["error_px"].fillna(0))  # fmt: skip
    np.testing.assert_allclose(sums, whole["labelled"] * whole["error_px"].fillna(0))


def test_a_hidden_point_may_be_found_at_a_seen_one_of_the_other_side():
    gt = np.array([[[0.0, 0], [0, 0], [50, 0], [0, 0]]])
    pose = PosePredictions(
        gt[:, list(SCHEME["swap"])], np.ones((1, 4)), gt, np.array([[0, 1, 2, 0]]),
        np.array([[0, 0, 100.0, 50]]), np.array([2500.0]),
    )  # fmt: skip
    hidden = KeypointMetrics(pose, THRESHOLDS, **SCHEME, visibility=1).table()
    np.testing.assert_array_equal(hidden["swapped"], [np.nan, 1, np.nan, np.nan, 1])


@pytest.mark.parametrize("resamples", [0, 20])
def test_a_terminal_shows_values_with_their_intervals(resamples):
    table = KeypointMetrics(some_poses(), (0.1,), **SCHEME).table(np.arange(30), resamples)
    head, *rows = format_table(table).splitlines()
    assert head.split() == [
        "keypoint", "labelled", "AP", "PCK@0.1", "error", "error_px", "median_error_px", "swapped",
    ]  # fmt: skip
    assert len(rows) == 5
    assert f"{table.loc[0, 'error_px']:.3f}" in rows[0]
    assert ("[" in rows[0]) == bool(resamples)
    assert set(rows[3].split()[2:]) == {"-"}  # labelled nowhere
