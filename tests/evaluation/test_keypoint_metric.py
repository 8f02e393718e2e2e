import json

import numpy as np
import pandas as pd
import pytest

from equikpt.evaluation.keypoint_metric import KeypointMetric

META = dict(sigmas=np.array([0.05, 0.05]), keypoint_id2name={0: "nose", 1: "withers"})


def sample(predicted, gt, visibility, box=(0, 0, 100, 50), scores=(0.9, 0.8)) -> dict:
    triples = np.column_stack([gt, visibility]).ravel().tolist()
    return dict(
        raw_ann_info=dict(keypoints=triples, bbox=list(box), area=2500.0),
        pred_instances=dict(keypoints=np.array([predicted]), keypoint_scores=np.array([scores])),
    )


def evaluate(samples: list[dict], **options) -> tuple[KeypointMetric, dict]:
    metric = KeypointMetric(**options)
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
    assert "keypoint/swapped" not in values  # without sides


def test_writes_its_table(tmp_path):
    file = tmp_path / "deep" / "report.csv"
    metric, _ = evaluate([sample([[3, 4], [7, 7]], [[0, 0], [7, 7]], [2, 2])], out_file=str(file))
    pd.testing.assert_frame_equal(pd.read_csv(file), metric.table, check_dtype=False)


def test_a_keypoint_without_a_label_in_training_has_no_values(tmp_path):
    """Its labels in this set are counted in its row, and in no value."""
    samples = [sample([[3, 4], [99, 99]], [[0, 0], [7, 7]], [2, 2])] * 2
    metric = KeypointMetric(parts_file=str(tmp_path / "parts.csv"))
    metric.dataset_meta = META | dict(trained_keypoints=[True, False])
    metric.process({}, samples)
    values = metric.evaluate(size=2)
    assert values["keypoint/error_px"] == 5
    assert values["keypoint/PCK@0.05"] == 1
    assert "keypoint/trained" not in values
    assert metric.table["trained"].tolist() == [True, False]
    assert metric.table["labelled"].tolist() == [2, 2]
    assert metric.table.loc[1, ["AP", "PCK@0.05", "error_px"]].isna().all()
    assert "withers (not trained)" in metric.summary()
    assert "withers; their 2 labels" in metric.summary()
    over_all = metric.parts[(metric.parts["part"] == "all")].iloc[-1]
    assert (over_all["keypoint"], over_all["labelled"]) == ("all", 2)
    assert pd.read_csv(tmp_path / "parts.csv")["trained"].tolist() == [True, False, True] * 3


@pytest.mark.parametrize("thresholds", [(), (0.0,), (0.1, -1)], ids=["none", "zero", "negative"])
def test_refuses_thresholds(thresholds):
    with pytest.raises(ValueError, match="pck_thresholds"):
        KeypointMetric(pck_thresholds=thresholds)


def test_refuses_samples_of_whole_images():
    metric = KeypointMetric()
    metric.dataset_meta = META
    whole = sample([[3, 4], [7, 7]], [[0, 0], [7, 7]], [2, 2])
    whole["raw_ann_info"] = [whole["raw_ann_info"]]
    with pytest.raises(ValueError, match="one annotation a sample"):
        metric.process({}, [whole])


def riders(**options) -> tuple[KeypointMetric, dict]:
    """Two frames of each of three videos; the error is 3, 6 and 9 px, the withers are hidden."""
    samples = []
    for video in range(3):
        for frame in range(2):
            error = 3.0 * (video + 1)
            one = sample([[error, 0], [7 + error, 7]], [[0, 0], [7, 7]], [2, 1])
            one["raw_ann_info"]["rider"] = "anna" if video < 2 else "ben"
            one["img_path"] = f"data/ride{video}/{frame}.png"
            samples.append(one)
    return evaluate(samples, **options)


def errors_of(metric: KeypointMetric, part: str) -> dict[str, float]:
    rows = metric.parts[(metric.parts["part"] == part) & (metric.parts["keypoint"] == "all")]
    return dict(zip(rows["name"], rows["error_px"], strict=True))


RULES = [
    (dict(), {}),
    (dict(group_key="rider"), {"anna": 4.5, "ben": 9.0}),
    (dict(group_regex=r"/(ride\d)/"), {"ride0": 3.0, "ride1": 6.0, "ride2": 9.0}),
]


@pytest.mark.parametrize(("rule", "expected"), RULES, ids=["none", "key", "regex"])
def test_groups_are_told_apart(rule, expected):
    metric, values = riders(**rule)
    assert errors_of(metric, "group") == pytest.approx(expected)
    assert errors_of(metric, "all") == {"": pytest.approx(6.0)}
    assert values["keypoint/error_px"] == pytest.approx(6.0)
    assert values["keypoint/error"] == pytest.approx(0.06)  # of the box's 100 px
    assert len(metric.parts) == 3 * (3 + len(expected))  # two keypoints and all


def test_visibilities_are_told_apart():
    metric, _ = riders()
    rows = metric.parts.set_index(["part", "name", "keypoint"])["labelled"]
    assert rows["visibility", "hidden"].tolist() == [0, 6, 6]
    assert rows["visibility", "seen"].tolist() == [6, 0, 6]


def test_intervals_draw_whole_groups():
    """Frames of a video have the same error, so three videos tell less than six images."""
    of_images, of_videos = (
        riders(resamples=200, **rule)[0] for rule in ({}, dict(group_regex=r"/(ride\d)/"))
    )
    widths = [
        (metric.parts["error_px_high"] - metric.parts["error_px_low"])[2]
        for metric in (of_images, of_videos)
    ]
    assert 0 < widths[0] < widths[1]
    assert "AP_low" not in of_videos.table


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_writes_its_parts(tmp_path, suffix):
    file = tmp_path / "deep" / f"parts.{suffix}"
    metric, _ = riders(parts_file=str(file), group_key="rider", resamples=20)
    text = file.read_text()
    found = pd.DataFrame(json.loads(text)) if suffix == "json" else pd.read_csv(file)
    found["name"] = found["name"].fillna("")
    pd.testing.assert_frame_equal(
        found.astype(metric.parts.dtypes), metric.parts, check_dtype=False, rtol=1e-5
    )


def test_the_log_has_keypoints_and_parts(caplog):
    from mmengine.logging import MMLogger

    logger = MMLogger.get_instance("report_test")
    logger.addHandler(caplog.handler)
    riders(log_table=True, group_key="rider", resamples=20)
    (text,) = (record.getMessage() for record in caplog.records)
    assert "withers" in text
    assert "ben" in text
    assert "[" in text


def test_exchanged_sides_are_counted():
    metric = KeypointMetric()
    metric.dataset_meta = {**META, "flip_indices": [1, 0]}
    apart = [[0, 0], [90, 7]]
    metric.process({}, [sample(apart[::-1], apart, [2, 2]), sample(apart, apart, [2, 2])])
    assert metric.evaluate(size=2)["keypoint/swapped"] == 0.5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(parts_file="parts.txt"), r"end in .csv or .json"),
        (dict(resamples=-1), "resamples of 0"),
        (dict(group_key="a", group_regex="(b)"), "give one of them"),
        (dict(group_key="horse"), "its keys are keypoints, bbox, area, rider"),
        (dict(group_regex="(x)"), "finds no group in data/ride0/0.png"),
    ],
    ids=["suffix", "resamples", "both", "no key", "no match"],
)
def test_refuses_options_that_fit_nothing(options, words):
    with pytest.raises(ValueError, match=words):
        riders(**options)
