import numpy as np
import pandas as pd
import pytest

from equikpt.evaluation.ruler_metric import RulerMetric


def radiograph(first, second, name="radiograph.png", labelled=(2, 2), **more) -> dict:
    """A radiograph whose true marks are 40 px apart, at (100, 200) and (100, 160)."""
    gt = [100.0, 200.0, labelled[0], 100.0, 160.0, labelled[1]]
    moved = np.array([[100, 200], [100, 160]], float) + np.array([first, second], float)
    return dict(
        raw_ann_info=dict(keypoints=gt),
        pred_instances=dict(keypoints=moved[None], keypoint_scores=np.array([[0.9, 0.8]])),
        img_path=f"/data/{name}",
        input_size=(768, 768),
        input_scale=np.array([1536.0, 1536.0]),  # two px of the radiograph are one of the input
        **more,
    )


def evaluate(*radiographs: dict, **options) -> tuple[dict[str, float], RulerMetric]:
    metric = RulerMetric(**options)
    metric.process([], radiographs)
    return metric.compute_metrics(metric.results), metric


def test_errors_are_of_each_mark_in_every_unit():
    metrics, _ = evaluate(radiograph((3, 4), (0, 0)), radiograph((6, 8), (0, 0)))
    assert metrics["error_px"] == pytest.approx((5 + 0 + 10 + 0) / 4)
    assert metrics["error_input_px"] == pytest.approx(3.75 / 2)
    assert metrics["error_mm"] == pytest.approx(3.75 * 10 / 40)
    assert metrics["error_px_median"] == pytest.approx(2.5)
    assert (metrics["error_px_min"], metrics["error_px_max"]) == (0, pytest.approx(10))


@pytest.mark.parametrize(
    ("more", "options", "mm_per_px"),
    [
        pytest.param({}, {}, 10 / 40, id="from the ruler"),
        pytest.param({}, dict(ruler_mm=20.6), 20.6 / 40, id="another ruler"),
        pytest.param({}, dict(mm_per_px=0.1), 0.1, id="given for all"),
        pytest.param(dict(pixel_spacing_mm=0.2), dict(mm_per_px=0.1), 0.2, id="of the radiograph"),
    ],
)
def test_where_millimetres_come_from(more, options, mm_per_px):
    metrics, _ = evaluate(radiograph((0, 8), (0, 8), **more), **options)
    assert metrics["error_mm"] == pytest.approx(8 * mm_per_px)


def test_fractions_and_percentiles():
    metrics, _ = evaluate(radiograph((1.9, 0), (2.1, 0)), radiograph((0, 4.9), (0, 11)))
    assert [metrics[f"within_{limit}px"] for limit in (2, 5, 10)] == [0.25, 0.75, 0.75]
    # 0.25 mm a px
    within_mm = [metrics[f"within_{limit}mm"] for limit in ("1", "2", "2.5", "3")]
    assert within_mm == [0.5, 0.75, 0.75, 1]
    assert metrics["error_px_p95"] == pytest.approx(np.percentile([1.9, 2.1, 4.9, 11], 95))


def test_scale_swaps_and_failures():
    longer, swapped = radiograph((0, 1), (0, -1)), radiograph((0, -40), (0, 40))
    metrics, _ = evaluate(longer, longer, swapped)
    assert metrics["scale_error"] == pytest.approx(5)  # 42 instead of 40 px
    assert (metrics["swaps"], metrics["failures"]) == (1, 1)


def test_radiographs_with_one_mark_are_left_out():
    metrics, metric = evaluate(
        radiograph((0, 0), (0, 0)), radiograph((9, 9), (9, 9), labelled=(2, 0))
    )
    assert metrics["radiographs"] == 1
    assert metric.table["radiograph"].tolist() == ["radiograph.png"]


def test_a_row_for_each_radiograph(tmp_path):
    path = tmp_path / "films.csv"
    evaluate(
        radiograph((3, 4), (0, 0), "a.png"), radiograph((0, 0), (0, 1), "b.png"), out_file=str(path)
    )
    rows = pd.read_csv(path).set_index("radiograph")
    assert rows.loc["a.png", "p1_error_px"] == 5
    assert rows.loc["b.png", "scale_error_percent"] == pytest.approx(2.5)
    assert not rows["failed"].loc["b.png"]


def test_the_summary_reads_as_users_know_it():
    _, metric = evaluate(radiograph((3, 4), (0, 0)))
    average = "Average: 2.50 px of the radiograph, 1.25 px of the input, 0.625 mm"
    assert metric.summary().splitlines()[:3] == ["Samples: 1", average, "Median:  2.50 px"]


@pytest.mark.parametrize("options", [dict(ruler_mm=0), dict(mm_per_px=-1.0)])
def test_lengths_are_above_zero(options):
    with pytest.raises(ValueError, match="above 0"):
        RulerMetric(**options)


def test_other_data_sets_are_refused():
    wrong = radiograph((0, 0), (0, 0))
    wrong["raw_ann_info"]["keypoints"] *= 2
    with pytest.raises(ValueError, match="KeypointMetric"):
        RulerMetric().process([], [wrong])
    with pytest.raises(ValueError, match="none of 1 has"):
        evaluate(radiograph((0, 0), (0, 0), labelled=(0, 2)))


def test_samples_of_single_marks_are_one_radiograph():
    """What a sample predicts for the mark that it does not show counts for nothing."""
    samples = [
        radiograph((3, 4), (900, 0), "a.png", mark=0),
        radiograph((700, 0), (0, 1), "b.png", mark=1),
        radiograph((800, 0), (0, 8), "a.png", mark=1),
        radiograph((0, 2), (600, 0), "b.png", mark=0),
    ]
    metrics, metric = evaluate(*samples)
    assert metric.table["radiograph"].tolist() == ["a.png", "b.png"]
    assert metric.table[["p1_error_px", "p2_error_px"]].to_numpy() == pytest.approx(
        np.array([[5, 8], [2, 1]])
    )
    assert metrics["radiographs"] == 2
