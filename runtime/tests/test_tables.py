import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from equikpt.data_tools.convert import deeplabcut
from equikpt.data_tools.convert.schemes import NO_SCHEME
from equikpt.structures import Instance
from equikpt_runtime.tables import DeepLabCutTable, PlainTable, check_deeplabcut_name

NAMES = ("nose", "withers", "lf_hoof")


def instance(start: float, track: int | None = None, missing: int | None = None) -> Instance:
    keypoints = start + np.arange(6, dtype=np.float32).reshape(3, 2)
    if missing is not None:
        keypoints[missing] = np.nan
    return Instance(keypoints, np.array([0.9, 0.5, 0.1], np.float32), np.array([1, 2, 30, 40]),
                    0.75, track)  # fmt: skip


ALONE = [(0, [instance(10, track=4)]), (1, []), (2, [instance(20, track=4, missing=1)])]
"""One horse in frames 0 and 2, with a point missing in the latter; frame 1 is empty."""
SEVERAL = [(0, [instance(10, track=2), instance(100, track=1)]), (1, [instance(11, track=2)])]


def write(table: PlainTable | DeepLabCutTable, frames: list) -> None:
    with table:
        for number, instances in frames:
            table.add(number, instances, 0.04 * number)


def test_one_horse_reads_back_with_pandas(tmp_path):
    write(DeepLabCutTable(tmp_path / "tracks.csv", NAMES), ALONE)
    table = pd.read_csv(tmp_path / "tracks.csv", header=[0, 1, 2], index_col=0)
    assert table.columns.names == ["scorer", "bodyparts", "coords"]
    assert table.index.tolist() == [0, 1, 2]
    own = table["equikpt"]
    assert own["nose"].iloc[0].tolist() == pytest.approx([10, 11, 0.9])
    assert own["lf_hoof"].iloc[2].tolist() == pytest.approx([24, 25, 0.1])
    assert own.iloc[1].isna().all()
    assert own["withers"].iloc[2].isna().all()


def test_several_horses_have_individuals(tmp_path):
    write(DeepLabCutTable(tmp_path / "tracks.csv", NAMES), SEVERAL)
    table = pd.read_csv(tmp_path / "tracks.csv", header=[0, 1, 2, 3], index_col=0)
    assert table.columns.names == ["scorer", "individuals", "bodyparts", "coords"]
    own = table["equikpt"]
    assert own.columns.unique("individuals").tolist() == ["animal1", "animal2"]
    assert own["animal1"]["nose"]["x"].tolist() == pytest.approx([100, np.nan], nan_ok=True)
    assert own["animal2"]["nose"]["x"].tolist() == [10, 11]


@pytest.mark.parametrize("suffix", [".csv", ".h5"])
@pytest.mark.parametrize("frames", [ALONE, SEVERAL], ids=["alone", "several"])
def test_the_package_reads_what_it_writes(tmp_path, frames, suffix):
    if suffix == ".h5":
        pytest.importorskip("tables")
    path = tmp_path / f"tracks{suffix}"
    write(DeepLabCutTable(path, NAMES), frames)
    read = deeplabcut.read(path, NO_SCHEME)
    assert read.keypoints == NAMES
    counts = [len(image.instances) for image in read.splits[""]]
    assert counts == ([1, 0, 1] if frames is ALONE else [2, 1])
    last = read.splits[""][-1].instances[0]
    if frames is ALONE:
        np.testing.assert_array_equal(last.keypoints, [[20, 21, 2], [0, 0, 0], [24, 25, 2]])
        np.testing.assert_allclose(last.scores, [0.9, 0, 0.1])
    else:
        np.testing.assert_array_equal(last.keypoints[:, 0], [11, 13, 15])


def test_the_plain_table_has_a_row_a_point(tmp_path):
    write(PlainTable(tmp_path / "points.csv", NAMES), ALONE)
    table = pd.read_csv(tmp_path / "points.csv")
    assert table["image"].tolist() == [0, 0, 0, 2, 2]
    assert table["keypoint"].tolist() == [*NAMES, "nose", "lf_hoof"]
    assert table["animal"].unique().tolist() == [4]
    names = [
        "x_px",
        "y_px",
        "score",
        "time_s",
        "left_px",
        "top_px",
        "right_px",
        "bottom_px",
        "box_score",
    ]
    assert table[names].iloc[-1].tolist() == [24, 25, 0.1, 0.08, 1, 2, 30, 40, 0.75]


def test_what_else_a_model_says_of_points_is_written(tmp_path):
    presence, seen = np.array([0.5, 1, 0.2]), np.array([0.9, 0.1, 0.5])
    found = replace(instance(10), radius=np.array([3.0, 4, np.inf]), presence=presence, seen=seen)
    write(PlainTable(tmp_path / "points.csv", NAMES), [(0, [found, instance(50)])])
    table = pd.read_csv(tmp_path / "points.csv")
    assert table["radius_px"][:3].tolist() == [3, 4, np.inf]
    assert table["presence"][:3].tolist() == pytest.approx(presence)
    assert table["seen"][:3].tolist() == pytest.approx(seen)
    assert table[["radius_px", "presence", "seen"]][3:].isna().all(axis=None)
    write(DeepLabCutTable(tmp_path / "tracks.csv", NAMES), [(0, [found])])
    likelihood = pd.read_csv(tmp_path / "tracks.csv", header=[0, 1, 2], index_col=0)["equikpt"]
    assert likelihood["nose"]["likelihood"].tolist() == pytest.approx([0.45])


def test_animals_without_a_track_are_counted_in_their_image(tmp_path):
    for names, expected in ((NAMES, [*NAMES, *NAMES]), (None, [1, 2, 3, 1, 2, 3])):
        with PlainTable(tmp_path / "points.csv", names) as table:
            table.add("a.jpg", [instance(0), instance(9)])
        plain = pd.read_csv(tmp_path / "points.csv")
        assert plain["animal"].tolist() == [1, 1, 1, 2, 2, 2]
        assert plain["keypoint"].tolist() == expected
        assert plain["time_s"].isna().all()


def test_nothing_found_is_an_empty_table(tmp_path):
    for table in (
        PlainTable(tmp_path / "points.csv", NAMES),
        DeepLabCutTable(tmp_path / "tracks.csv", NAMES),
    ):
        with table:
            table.add("a.jpg", [])
    assert (tmp_path / "points.csv").read_text().startswith("image,time_s,animal,keypoint,x_px")
    assert len(pd.read_csv(tmp_path / "tracks.csv", header=[0, 1, 2], index_col=0)) == 1


def test_what_was_done_is_on_disk_when_the_next_fails(tmp_path):
    plain, tracks = tmp_path / "points.csv", tmp_path / "tracks.csv"
    for table in (PlainTable(plain, NAMES), DeepLabCutTable(tracks, NAMES)):
        table.add("a.jpg", [instance(0)])
        assert plain.exists()  # before the end
        table.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert len(pd.read_csv(plain)) == 3
    assert len(pd.read_csv(tracks, header=[0, 1, 2], index_col=0)) == 1


def test_names_that_spreadsheets_would_run_are_text(tmp_path):
    names = ("=1+1", "withers", "-x")
    with (
        PlainTable(tmp_path / "points.csv", names) as plain,
        DeepLabCutTable(tmp_path / "tracks.csv", names) as tracks,
    ):
        for table in (plain, tracks):
            table.add("=HYPERLINK(0).jpg", [instance(-5)])
    for path in (tmp_path / "points.csv", tmp_path / "tracks.csv"):
        cells = [cell for line in path.read_text().splitlines() for cell in line.split(",")]
        assert "'=HYPERLINK(0).jpg" in cells
        assert "'=1+1" in cells
        risky = [cell for cell in cells if cell.startswith(("=", "+", "@", "-"))]
        assert all(float(cell) < 0 for cell in risky)


def test_names_are_looked_at_first(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"tracks\.txt'"):
        check_deeplabcut_name(tmp_path / "tracks.txt")
    monkeypatch.setitem(sys.modules, "tables", None)
    with pytest.raises(ImportError, match=r"pip install tables pandas, or write a csv"):
        check_deeplabcut_name(tmp_path / "tracks.h5")
