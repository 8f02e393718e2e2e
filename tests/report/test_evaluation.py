from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from equikpt.report.evaluation import are_poses, load, overall, save
from tests.report.made_tests import made_evaluation, pose


def test_what_was_saved_comes_back(tmp_path):
    table = pd.DataFrame(
        dict(radiograph=["001", "a<b"], error=[1.25, np.nan], empty=[np.nan, np.nan])
    )
    before = made_evaluation([pose(4), pose(16, "b.png")], tables={"Metric": table})
    save(before, tmp_path / "kept.json")
    after = load(tmp_path / "kept.json", "k")
    pd.testing.assert_frame_equal(after.parts, before.parts)
    pd.testing.assert_frame_equal(after.tables["Metric"], table)
    for name in set(vars(before)) - {"parts", "tables", "samples"}:
        assert getattr(after, name) == getattr(before, name), name
    assert np.array_equal(after.poses().predicted, before.poses().predicted)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda content: None, id="another key"),
        pytest.param(lambda content: content.update(key="new", format=0), id="another format"),
        pytest.param(lambda content: content.update(key="new", samples=[{}]), id="other fields"),
    ],
)
def test_what_does_not_fit_is_not_there(tmp_path, spoil):
    save(made_evaluation([pose()]), tmp_path / "kept.json")
    content = json.loads((tmp_path / "kept.json").read_text())
    spoil(content)
    (tmp_path / "kept.json").write_text(json.dumps(content))
    assert load(tmp_path / "kept.json", "new") is None


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_half_a_file_is_not_there(tmp_path, content):
    (tmp_path / "kept.json").write_text(content)
    assert load(tmp_path / "kept.json", "k") is None
    assert load(tmp_path / "none.json", "k") is None


def test_parts_have_intervals_around_their_values():
    """Each animal is off by its own number of px: every mean lies within its interval."""
    parts = made_evaluation([pose(px, f"{px}.png") for px in range(0, 40, 2)]).parts
    row = overall(parts)
    assert row["labelled"] == 60
    assert row["error_px"] == pytest.approx(19)
    assert row["error_px_low"] < 19 < row["error_px_high"]
    assert set(parts["part"]) == {"all", "visibility"}


def test_groups_are_parts_where_they_are_known():
    samples = [pose(px, f"{px}.png", group=f"horse {px % 2}") for px in range(8)]
    parts = made_evaluation(samples, grouped=True).parts
    assert set(parts.loc[parts["part"] == "group", "name"]) == {"horse 0", "horse 1"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, True, id="one animal"),
        pytest.param(dict(areas=[], boxes=[]), False, id="without boxes"),
        pytest.param(dict(gt=[]), False, id="nothing labelled"),
        pytest.param(dict(predicted=[[[1.0, 2]]] * 3), False, id="single points"),
        pytest.param(dict(predicted=[[[1.0, 2]]]), False, id="another number of points"),
    ],
)
def test_poses_are_one_prediction_of_each_labelled_instance(changes, expected):
    assert are_poses([pose(), pose(**changes)], 4) is expected
