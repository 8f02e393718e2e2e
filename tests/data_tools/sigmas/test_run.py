from __future__ import annotations

import numpy as np
import pytest

from equikpt.core.groups import GroupRule
from equikpt.data_tools.sigmas.pairs import pairs_of_annotations, pairs_with_predictions
from equikpt.data_tools.sigmas.run import SigmaOptions, estimate_from
from equikpt.metainfo.horse26 import METAINFO
from tests.data_tools.sigmas.conftest import NAMES, SIGMAS, clicked, horses, results, write


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
    return read_table(estimate_from(pairs, labels, "", SigmaOptions(**options)))


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
    np.testing.assert_allclose(present, METAINFO["sigmas"])


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
    lines = estimate_from(pairs, labels, "Made by a test.", SigmaOptions(out=out))
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
    expected = np.where(np.isfinite(found), found, METAINFO["sigmas"])
    np.testing.assert_allclose(dataset.metainfo["sigmas"], expected, rtol=1e-3)
    assert dataset.metainfo["sigmas"][1] == METAINFO["sigmas"][1]
    assert dataset.metainfo["flip_pairs"]
    with pytest.raises(FileExistsError):
        estimate_from(pairs, labels, "", SigmaOptions(out=out))


def test_two_files_without_common_points_are_refused(tmp_path):
    first, second = horses(3), horses(3)
    for row in first["annotations"]:
        row["keypoints"][2::3] = [2] + [0] * 25
    for row in second["annotations"]:
        row["keypoints"][2::3] = [0] + [2] * 25
    labels = write(tmp_path / "a.json", first)
    pairs = pairs_of_annotations(labels, write(tmp_path / "b.json", second))
    with pytest.raises(ValueError, match="labelled in both files, got none"):
        estimate_from(pairs, labels, "", SigmaOptions())
