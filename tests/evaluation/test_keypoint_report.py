from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from equikpt.evaluation.keypoint_report import KeypointReport

META = dict(sigmas=np.array([0.05, 0.05]), keypoint_id2name={0: "nose", 1: "withers"})


def sample(predicted, truth, visibility, box=(0, 0, 100, 50), scores=(0.9, 0.8)) -> dict:
    triples = np.column_stack([truth, visibility]).ravel().tolist()
    return dict(
        raw_ann_info=dict(keypoints=triples, bbox=list(box), area=2500.0),
        pred_instances=dict(keypoints=np.array([predicted]), keypoint_scores=np.array([scores])),
    )


def evaluate(samples: list[dict], **options) -> tuple[KeypointReport, dict]:
    metric = KeypointReport(**options)
    metric.dataset_meta = META
    metric.process({}, samples)
    return metric, metric.evaluate(size=len(samples))


def test_errors_pck_and_table():
    metric, values = evaluate(
        [
            sample([[3, 4], [7, 7]], [[0, 0], [7, 7]], [2, 1]),
            sample([[12, 0], [99, 99]], [[0, 0], [7, 7]], [2, 0]),  # withers unlabelled
        ]
    )
    assert values["keypoint/error_px"] == pytest.approx((5 + 0 + 12) / 3)
    assert values["keypoint/median_error_px"] == 5
    assert values["keypoint/PCK@0.05"] == pytest.approx(2 / 3)  # 5 of 100 px counts, 12 does not
    assert values["keypoint/PCK@0.1"] == pytest.approx(2 / 3)
    assert metric.table["labelled"].tolist() == [2, 1]
    assert metric.table["error_px"].tolist() == [8.5, 0.0]
    assert metric.table["AP"].iloc[1] == pytest.approx(1.0)


def test_the_same_in_one_batch_or_two():
    generator = np.random.default_rng(0)
    samples = [
        sample(generator.uniform(0, 9, (2, 2)), generator.uniform(0, 9, (2, 2)), [2, 2])
        for _ in range(6)
    ]
    _, whole = evaluate(samples)
    metric = KeypointReport()
    metric.dataset_meta = META
    metric.process({}, samples[:2])
    metric.process({}, samples[2:])
    assert metric.evaluate(size=6) == whole


def test_writes_its_table(tmp_path):
    file = tmp_path / "deep" / "report.csv"
    metric, _ = evaluate([sample([[3, 4], [7, 7]], [[0, 0], [7, 7]], [2, 2])], out_file=str(file))
    pd.testing.assert_frame_equal(pd.read_csv(file), metric.table, check_dtype=False)


def test_a_keypoint_that_is_labelled_nowhere_has_no_figures():
    metric, _ = evaluate([sample([[3, 4], [7, 7]], [[0, 0], [7, 7]], [2, 0])])
    assert metric.table.loc[1, ["AP", "PCK@0.1", "error_px"]].isna().all()


@pytest.mark.parametrize("thresholds", [(), (0.0,), (0.1, -1)], ids=["none", "zero", "negative"])
def test_refuses_thresholds(thresholds):
    with pytest.raises(ValueError, match="pck_thresholds above 0"):
        KeypointReport(pck_thresholds=thresholds)


def test_refuses_samples_of_whole_pictures():
    metric = KeypointReport()
    metric.dataset_meta = META
    whole = sample([[3, 4], [7, 7]], [[0, 0], [7, 7]], [2, 2])
    whole["raw_ann_info"] = [whole["raw_ann_info"]]
    with pytest.raises(ValueError, match="one annotation a sample"):
        metric.process({}, [whole])
