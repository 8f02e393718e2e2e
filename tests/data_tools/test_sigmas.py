from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from equikpt.core.groups import GroupRule
from equikpt.data_tools.sigma_pairs import pairs_of_annotations, pairs_with_predictions
from equikpt.data_tools.sigmas import (
    estimate_from,
    estimate_sigmas,
    metainfo_file,
    pool_sides,
    sigma_table,
)
from equikpt.metainfo import horse26, p1p2, read_keypoint_set
from equikpt_runtime import files
from equikpt_runtime.boxes import oks
from tests.data_tools.test_sigma_pairs import NAMES, SIGMAS, clicked, horses, results, write


def test_a_click_one_sigma_off_has_cocos_similarity():
    """COCO: one, two and three sigma give e^(-1/8), e^(-4/8) and e^(-9/8)."""
    squared = np.full((30, 1), 0.06**2)
    sigma = estimate_sigmas(squared, np.arange(30)).sigma.to_numpy()
    np.testing.assert_allclose(sigma, [0.06])
    distances = np.array([[1.0], [2.0], [3.0]]) * sigma * 100
    similarity = oks(distances, np.full(3, 100.0**2), sigma)
    np.testing.assert_allclose(similarity[:, 0], np.exp([-1 / 8, -4 / 8, -9 / 8]))


def normal_errors(sigma: float, count: int, seed: int) -> np.ndarray:
    """(count, 1) d² / s² of errors that are normal in x and in y."""
    rng = np.random.default_rng(seed)
    return (rng.normal(0, sigma / np.sqrt(2), (count, 2)) ** 2).sum(axis=1)[:, None]


@pytest.mark.parametrize("estimator", ["mean", "median"])
def test_both_estimators_find_the_sigma_of_normal_errors(estimator):
    squared = normal_errors(0.07, 20_000, seed=0)
    found = estimate_sigmas(squared, np.arange(len(squared)) // 10, estimator, resamples=50)
    np.testing.assert_allclose(found.sigma, [0.07], rtol=0.02)
    assert found.low[0] < found.sigma[0] < found.high[0]


def test_gross_errors_move_the_mean_and_not_the_median():
    squared = normal_errors(0.07, 2000, seed=0)
    squared[::5] = normal_errors(1.0, 400, seed=1)
    clusters = np.arange(2000)
    assert estimate_sigmas(squared, clusters, "mean", 20).sigma[0] > 0.3
    # a fifth of outliers makes of the median at most the 5/8 quantile
    assert 0.07 <= estimate_sigmas(squared, clusters, "median", 20).sigma[0] < 0.07 * 1.2


def test_clusters_of_like_errors_give_wider_intervals():
    squared = np.repeat(normal_errors(0.07, 30, seed=0), 10, axis=0)
    as_clusters = estimate_sigmas(squared, np.arange(300) // 10)
    alone = estimate_sigmas(squared, np.arange(300))
    assert as_clusters.sigma.equals(alone.sigma)
    assert (as_clusters.high - as_clusters.low > 2 * (alone.high - alone.low)).all()


def test_where_nothing_can_be_told_there_is_no_number():
    squared = np.array([[0.01, np.nan, 0.01], [0.02, np.nan, np.nan]])
    found = estimate_sigmas(squared, np.array([0, 1]))
    assert found.distances.tolist() == [2, 0, 1]
    assert np.isfinite(found.sigma).tolist() == [True, False, True]
    assert np.isfinite(found.low).tolist() == [True, False, False]  # one cluster: no interval


def test_sides_are_pooled_and_the_midline_is_not_counted_twice():
    squared = np.array([[1.0, 2.0, 3.0], [4.0, np.nan, 6.0]])
    pooled = pool_sides(squared, np.array([0, 2, 1]))
    assert [sorted(column[np.isfinite(column)]) for column in pooled.T] == [
        [1, 4], [2, 3, 6], [2, 3, 6],
    ]  # fmt: skip


def test_an_unknown_estimator_is_named():
    with pytest.raises(ValueError, match="mean, median"):
        estimate_sigmas(np.ones((2, 1)), np.arange(2), "mode")


@pytest.mark.parametrize("present", [[0.1, 0.2], None], ids=["metainfo", "none"])
def test_the_table_has_the_present_sigmas_where_there_are_some(present):
    estimate = pd.DataFrame(dict(distances=[20, 0], sigma=[0.012346, np.nan], low=0.0, high=1.0))
    head, first, _ = sigma_table(["a", "b"], present, estimate).splitlines()
    with_ratio = ["keypoint", "distances", "present", "sigma", "low", "high", "ratio"]
    assert head.split() == (with_ratio if present else ["keypoint", "distances", *with_ratio[3:6]])
    assert first.split()[:2] == ["a", "20"]
    assert ("0.12346" in first) == bool(present)  # the ratio


@pytest.mark.parametrize(
    ("sigma", "distances", "written"),
    [(0.00212345, 20, 0.002123), (0.5, 19, None), (0, 20, None), (np.nan, 0, None)],
    ids=["enough", "few", "zero", "none"],
)
def test_the_file_is_the_metainfo_with_the_sigmas_that_rest_on_enough(sigma, distances, written):
    spread = dict(low=[0.001, np.nan], high=[0.003, np.nan])
    estimate = pd.DataFrame(dict(distances=distances, sigma=[0.002, sigma]) | spread)
    estimate.loc[0, "distances"] = 30
    text = metainfo_file(p1p2.METAINFO, estimate, "From a test.", Path("deep/sigmas.py"))
    scope: dict = {}
    exec(text, scope)
    sigmas = [0.002, written or p1p2.METAINFO["sigmas"][1]]
    assert scope["dataset_info"] == {**p1p2.METAINFO, "sigmas": sigmas}
    assert "0.002,  # 'p1': 0.001 to 0.003, 30 distances" in text
    assert ("# 'p2': as before:" in text) == (written is None)
    assert "from_file='deep/sigmas.py'" in text


@pytest.mark.parametrize(("distances", "is_guess"), [([30, 30], False), ([30, 3], True)])
def test_sigmas_are_a_guess_until_all_are_measured(distances, is_guess):
    estimate = pd.DataFrame(dict(distances=distances, sigma=[0.002, 0.003], low=0.001, high=0.004))
    own = {**p1p2.METAINFO, "sigmas_source": "guess: of a test"}
    scope: dict = {}
    exec(metainfo_file(own, estimate, "From a test.", Path("sigmas.py")), scope)
    source = "1 of 2 measured: From a test.; others as before: guess: of a test"
    expected = source if is_guess else "measured: From a test."
    assert scope["dataset_info"]["sigmas_source"] == expected


@pytest.mark.parametrize(
    "cut", ["\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "'\n", '"\n', "\\\n"]
)
def test_a_file_name_never_becomes_code(tmp_path, cut):
    """Names come from archives and shares; the file is one that configs run."""
    name = f"labels{cut}raise SystemExit#{{{{ fileBasename }}}}\udce9.json"
    path = tmp_path / f"out{cut}raise SystemExit" / "a.py"
    estimate = pd.DataFrame(dict(distances=30, sigma=[0.002, 0.003], low=0.001, high=0.004))
    text = metainfo_file(p1p2.METAINFO, estimate, f"From {name}", path)
    files.write_text(tmp_path / "sigmas.py", text)
    assert read_keypoint_set(tmp_path / "sigmas.py")["sigmas"] == [0.002, 0.003]
    assert all(line.startswith("#") for line in text.splitlines() if "SystemExit" in line)


def read_table(lines: list[str]) -> dict[str, list[float]]:
    """Keypoint to distances, present sigma, sigma, low, high, ratio."""
    rows = [line.split() for line in lines[0].splitlines()[1:]]
    return {name: [float(x) if x != "-" else np.nan for x in values] for name, *values in rows}


def estimates(tmp_path, kind: str, gross: float = 0.0, **options) -> dict[str, list[float]]:
    content = horses(150)
    labels = write(tmp_path / "a.json", clicked(content, 1, gross) if kind == "double" else content)
    if kind == "double":
        pairs = pairs_of_annotations(labels, write(tmp_path / "b.json", clicked(content, 2)))
    else:
        rows = results(clicked(content, 1, gross))
        pairs = pairs_with_predictions(labels, write(tmp_path / "r.json", rows))
    return read_table(estimate_from(pairs, labels, "", **options))


CASES = [
    pytest.param("double", dict(), id="double"),
    pytest.param("predictions", dict(estimator="median"), id="predictions"),
    pytest.param("predictions", dict(estimator="median", gross=0.1), id="with gross errors"),
    pytest.param("double", dict(rule=GroupRule(regex=r"^(\d+)/")), id="groups"),
]


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_the_sigmas_of_the_clicks_are_recovered(tmp_path, kind, options):
    table = estimates(tmp_path, kind, **options)
    assert list(table) == NAMES
    _, present, sigma, low, high, ratio = np.array(list(table.values())).T
    np.testing.assert_allclose(sigma, SIGMAS, rtol=0.35)
    np.testing.assert_allclose(ratio, sigma / present, rtol=0.01)
    inside = (low <= SIGMAS) & (high >= SIGMAS)
    assert inside.mean() >= 0.75  # of 26 intervals; 95 % hold the ground truth in the long run
    assert ((high - low) / sigma).mean() < 0.6
    np.testing.assert_allclose(present, horse26.METAINFO["sigmas"])


def test_intervals_are_over_groups_where_they_are_given(tmp_path):
    alone = estimates(tmp_path, "double")
    of_one = estimates(tmp_path, "double", rule=GroupRule(regex=r"(\.png)"))
    assert np.isfinite([row[3] for row in alone.values()]).all()
    assert np.isnan([row[3] for row in of_one.values()]).all()  # one group: no interval
    assert [row[2] for row in alone.values()] == [row[2] for row in of_one.values()]


def test_pooled_sides_have_one_sigma(tmp_path):
    table = estimates(tmp_path, "double", pooled=True)
    assert table["l_elbow"][2:5] == table["r_elbow"][2:5]
    left, right = SIGMAS[NAMES.index("l_elbow")], SIGMAS[NAMES.index("r_elbow")]
    assert left < table["l_elbow"][2] < right * 1.05


def test_configs_take_the_file(tmp_path, sample_data):
    """A data set is built with it, and CocoMetric reads the sigmas of the data set."""
    from mmpose.registry import DATASETS

    import equikpt.register  # noqa: F401

    content = horses(150)
    for row in content["annotations"]:
        row["keypoints"][5] = 0  # l_eye is labelled nowhere
    labels = write(tmp_path / "a.json", clicked(content, 1))
    pairs = pairs_of_annotations(labels, write(tmp_path / "b.json", clicked(content, 2)))
    out = tmp_path / "deep" / "sigmas.py"
    lines = estimate_from(pairs, labels, "Made by a test.", out=out)
    assert lines[-1] == f"written: {out}"
    dataset = DATASETS.build(
        dict(
            type="Horse26Dataset",
            data_root=str(sample_data),
            ann_file="annotations/val.json",
            data_prefix=dict(img="images/val/"),
            metainfo=dict(from_file=str(out)),
        )
    )
    found = np.array([row[2] for row in read_table(lines).values()])
    expected = np.where(np.isfinite(found), found, horse26.METAINFO["sigmas"])
    np.testing.assert_allclose(dataset.metainfo["sigmas"], expected, rtol=1e-3)
    assert dataset.metainfo["sigmas"][1] == horse26.METAINFO["sigmas"][1]
    assert dataset.metainfo["flip_pairs"]
    with pytest.raises(FileExistsError):
        estimate_from(pairs, labels, "", out=out)


def test_two_files_without_common_points_are_refused(tmp_path):
    first, second = horses(3), horses(3)
    for row in first["annotations"]:
        row["keypoints"][2::3] = [2] + [0] * 25
    for row in second["annotations"]:
        row["keypoints"][2::3] = [0] + [2] * 25
    labels = write(tmp_path / "a.json", first)
    pairs = pairs_of_annotations(labels, write(tmp_path / "b.json", second))
    with pytest.raises(ValueError, match="labelled in both files, got none"):
        estimate_from(pairs, labels, "")
