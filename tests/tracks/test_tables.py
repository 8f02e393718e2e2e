"""Tables of smoothed poses, read back by who reads them."""

import json

import cv2
import numpy as np
import pandas as pd
import pytest

from equikpt.gait import read_tables
from equikpt.tracks.paths import Paths, Pose
from equikpt.tracks.tables import FORMATS, TrackTable, as_instance, open_format, write_parquet
from equikpt_runtime.clips import Clip
from tests.gait.conftest import moving

LINKS = [(0, 1), (1, 2)]


def pose(frame, **changes):
    """Three points: measured, an outlier, and one that was not given but filled."""
    points = np.array([[10.0 + frame, 20, 0.9], [500, 400, 0.8], [np.nan, np.nan, 0]])
    points = np.column_stack([points, np.full((3, 3), np.nan)])
    smooth = np.array([[10.0 + frame, 21], [30, 40], [50, 60]])
    whole = dict(
        track=1,
        box=np.array([0.0, 0, 90, 90, 1]),
        points=points,
        still=None,
        smooth=smooth,
        radius=np.array([1.0, 2, 3]),
        status=np.array([0, 1, 3]),
    )
    return Pose(**{**whole, **changes})


NAMES = ("nose", "=withers", "hoof")


def test_a_row_says_what_was_seen_and_what_was_smoothed(tmp_path):
    with TrackTable(tmp_path / "a.csv", NAMES, moves=True) as table:
        table.add_frame(
            7, [pose(0, still=np.array([[-12345.678, 2], [3, 4], [np.nan] * 2]))], 2e3 / 7
        )
    rows = pd.read_csv(tmp_path / "a.csv")
    assert rows["status"].tolist() == ["measured", "outlier", "filled"]
    assert rows["x_px"].tolist()[:2] == [10, 500]
    assert np.isnan(rows["x_px"][2])
    assert rows["smooth_x_px"].tolist() == [10, 30, 50]
    assert rows["still_x_px"].tolist()[:2] == [-12345.68, 3]
    assert rows["time_s"][0] == pytest.approx(2e3 / 7, abs=1e-6)
    assert rows["keypoint"][1] == "'=withers"


def test_the_gait_reads_what_the_model_saw(spooled, tmp_path):
    trial = moving(strides=4)
    spool = spooled(trial.table(1.0))
    with TrackTable(tmp_path / "a.csv", trial.table().names, moves=False) as table:
        for number, poses in enumerate(Paths(spool, None).frames()):
            table.add_frame(number, poses, float(trial.times_s[number]))
    (read,) = read_tables(tmp_path / "a.csv")
    np.testing.assert_allclose(read.xy, trial.table(1.0).xy, atol=0.01)
    np.testing.assert_allclose(read.times_s, trial.times_s, atol=1e-6)
    assert read.radii is not None


def test_of_a_camera_that_moves_the_gait_reads_the_stabilised_points(tmp_path):
    with TrackTable(tmp_path / "a.csv", NAMES, moves=True) as table:
        for frame in range(4):
            still = np.array([[frame, 0.5], [100.0, 200.0], [np.nan, np.nan]])
            table.add_frame(frame, [pose(frame, still=still)], frame / 50)
    (read,) = read_tables(tmp_path / "a.csv")
    assert read.xy[:, 0, 0].tolist() == [0, 1, 2, 3]
    assert np.isnan(read.xy[:, 2]).all()


def test_points_of_gaps_have_no_score():
    found = as_instance(pose(0))
    assert found.scores.tolist() == [0.9, 0, 0]
    nowhere = pose(0, box=np.full(5, np.nan), points=np.full((3, 6), np.nan))
    assert as_instance(nowhere).box.tolist() == [10, 21, 50, 60]


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for _ in range(6):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    return Clip.open(path)


def write(name, clip, tmp_path):
    path = tmp_path / f"film{FORMATS[name][0]}"
    with open_format(name, path, ("nose", "withers", "hoof"), LINKS, clip) as table:
        for frame in range(6):
            both = [pose(frame), pose(frame, track=2)] if frame else []
            table.add(frame, both, frame / 25)
    return path


@pytest.mark.parametrize("name", ["dlc-csv", "dlc-h5", "slp"])
def test_other_programs_files_are_read_back(name, clip, tmp_path):
    for module in FORMATS[name][2]:
        pytest.importorskip(module)
    tables = read_tables(write(name, clip, tmp_path), fps=25)
    assert [table.animal for table in tables] == ["animal1", "animal2"]
    assert tables[0].names == ("nose", "withers", "hoof")
    np.testing.assert_allclose(tables[0].xy[:, 0, 0], 10 + np.arange(1, 6))
    np.testing.assert_allclose(tables[1].xy[0, 2], [50, 60])
    np.testing.assert_allclose(tables[0].scores[0], [0.9, 0, 0])


def test_coco_has_tracks(clip, tmp_path):
    content = json.loads(write("coco", clip, tmp_path).read_text())
    assert len(content["images"]) == 6
    assert [row["track_id"] for row in content["annotations"]] == [1, 2] * 5


def test_nwb_is_read_back(clip, tmp_path):
    pytest.importorskip("ndx_pose")
    import pynwb

    with pynwb.NWBHDF5IO(str(write("nwb", clip, tmp_path)), "r") as io:
        animals = io.read().processing["behavior"].data_interfaces
        series = animals["animal2"]["nose"]
        np.testing.assert_allclose(series.timestamps[:], np.arange(6) / 25)
        np.testing.assert_allclose(series.data[1:, 0], 10 + np.arange(1, 6))
        assert np.isnan(series.data[0]).all()
        assert list(animals["animal1"].skeleton.nodes[:]) == ["nose", "withers", "hoof"]


def test_parquet_is_the_csv(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    with TrackTable(tmp_path / "a.csv", NAMES, moves=False) as table:
        table.add_frame(0, [pose(0)], 0.0)
    write_parquet(tmp_path / "a.csv", tmp_path / "parquet" / "a.parquet")
    read = parquet.read_table(tmp_path / "parquet" / "a.parquet").to_pandas()
    assert read["status"].tolist() == ["measured", "outlier", "filled"]
    assert read["image"].dtype == np.int64
    assert read["keypoint"].tolist() == [*NAMES]
