from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from equikpt.gait.tables import KeypointTable, read_tables
from equikpt_runtime.instance import Instance
from equikpt_runtime.tables import DeepLabCutTable, PlainTable

NAMES = ("nose", "-tail", "hoof")
BOX = np.array([0.0, 0.0, 9.0, 9.0])


def instances(frame, animals=1, radius=True):
    """Animals whose points go to the right; the last point of every third frame is missing."""
    found = []
    for animal in range(animals):
        points = np.array([[frame, 1.0], [frame + 2.5, 2.0], [frame + 5.25, 3.0]]) + 100 * animal
        points[2] = np.nan if frame % 3 == 0 else points[2]
        found.append(
            Instance(points, np.full(3, 0.9), BOX, track=animal + 1,
                     radius=np.full(3, 4.0) if radius else None)
        )  # fmt: skip
    return found


def write(table, frames=6, animals=1, times=True, **settings):
    with table:
        for frame in range(frames):
            table.add(frame, instances(frame, animals, **settings), frame / 50 if times else None)


def check(table, times_s):
    np.testing.assert_allclose(table.times_s, times_s)
    assert table.names == NAMES
    np.testing.assert_allclose(table.xy[:, 0, 0], np.arange(6), atol=1e-5)
    np.testing.assert_array_equal(np.isnan(table.xy[:, 2, 0]), np.arange(6) % 3 == 0)
    np.testing.assert_allclose(table.scores[1], 0.9)


def test_own_csv_has_times_and_radii(tmp_path):
    write(PlainTable(tmp_path / "a.csv", NAMES))
    (table,) = read_tables(tmp_path / "a.csv")
    check(table, np.arange(6) / 50)
    np.testing.assert_allclose(table.radii[1], 4.0)
    assert table.animal == ""
    with pytest.raises(ValueError, match="leave out fps"):
        read_tables(tmp_path / "a.csv", 50)


def test_own_csv_without_times_and_radii(tmp_path):
    write(PlainTable(tmp_path / "a.csv", NAMES), times=False, radius=False)
    with pytest.raises(ValueError, match="fps"):
        read_tables(tmp_path / "a.csv")
    (table,) = read_tables(tmp_path / "a.csv", 25)
    check(table, np.arange(6) / 25)
    assert table.radii is None


def test_a_camera_that_moved_is_taken_out_and_the_image_is_kept(tmp_path):
    rows = ["image,time_s,animal,keypoint,x_px,y_px,still_x_px,still_y_px"]
    rows += [f"{frame},{frame / 50},1,hoof,{10 + frame},20,10,{20 - frame}" for frame in range(3)]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    (table,) = read_tables(tmp_path / "a.csv")
    assert table.xy[:, 0].tolist() == [[10, 20], [10, 19], [10, 18]]
    assert table.image_xy[:, 0].tolist() == [[10, 20], [11, 20], [12, 20]]


def test_animals_are_apart(tmp_path):
    write(PlainTable(tmp_path / "a.csv", NAMES), animals=2)
    first, second = read_tables(tmp_path / "a.csv")
    assert (first.animal, second.animal) == ("1", "2")
    np.testing.assert_allclose((second.xy - first.xy)[:, :2], 100, rtol=1e-5)


@pytest.mark.parametrize("animals", [1, 2])
@pytest.mark.parametrize("suffix", [".csv", ".h5"])
def test_deeplabcuts_tables(tmp_path, animals, suffix):
    if suffix == ".h5":
        pytest.importorskip("tables")
    path = tmp_path / f"a{suffix}"
    write(DeepLabCutTable(path, NAMES), animals=animals)
    tables = read_tables(path, 50)
    assert [table.animal for table in tables] == (["animal1", "animal2"] if animals > 1 else [""])
    scores = np.where(np.isnan(tables[0].scores), 0.9, tables[0].scores)
    check(replace(tables[0], scores=scores), np.arange(6) / 50)
    with pytest.raises(ValueError, match="fps"):
        read_tables(path)


def test_sleaps_file(tmp_path):
    sleap_io = pytest.importorskip("sleap_io")
    skeleton = sleap_io.Skeleton([*NAMES])
    video, track = sleap_io.Video("trot.mp4"), sleap_io.Track("Star")
    frames = []
    for frame in range(6):
        points = instances(frame)[0].keypoints
        item = sleap_io.PredictedInstance.from_numpy(
            points, skeleton, point_scores=np.full(3, 0.9), score=1.0, track=track
        )
        frames.append(sleap_io.LabeledFrame(video=video, frame_idx=frame, instances=[item]))
    sleap_io.save_slp(sleap_io.Labels(frames), str(tmp_path / "a.slp"))
    (table,) = read_tables(tmp_path / "a.slp", 50)
    check(table, np.arange(6) / 50)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "x", "expected a table as"),
        ("a.csv", "image,time_s\n1,2\n", "no column animal"),
        ("a.csv", "image,time_s,animal,keypoint,x_px,y_px\n0,0,1,nose,one,2\n", "no number"),
        ("a.csv", "image,time_s,animal,keypoint,x_px,y_px\n" + "0,0,1,nose,1,2\n" * 2, "twice"),
        ("a.csv", "nose_x,nose_y\n1,2\n", "begins with rows"),
        ("a.csv", "", "begins with rows"),
        ("a.h5", "no h5", "no table of pandas"),
        ("a.slp", "no slp", "no SLEAP file"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, said):
    library = {".h5": "h5py", ".slp": "sleap_io"}.get(Path(name).suffix, "numpy")
    pytest.importorskip(library, reason="needs equikpt[formats]")
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=said):
        read_tables(tmp_path / name)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        read_tables(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (dict(times_s=np.array([0.0, 0.0])), "rise"),
        (dict(times_s=np.array([0.0, np.nan])), "rise"),
        (dict(xy=np.zeros((2, 4, 2))), "xy"),
        (dict(radii=np.zeros((2, 4))), "radii"),
    ],
)
def test_shapes_and_times_must_fit(change, said):
    given = dict(times_s=np.array([0.0, 1.0]), names=NAMES, xy=np.zeros((2, 3, 2)))
    KeypointTable(**given)
    with pytest.raises(ValueError, match=said):
        KeypointTable(**{**given, **change})
