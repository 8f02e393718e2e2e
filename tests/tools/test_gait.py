"""The command on tables that the package writes itself."""

import csv
import json

import numpy as np
import pytest

from equikpt_runtime.instance import Instance
from equikpt_runtime.tables import DeepLabCutTable, PlainTable
from tests.gait.conftest import moving

TABLES = ("curves.csv", "strides.csv", "trials.csv")


def write(table, trial, rename=None, animals=1):
    points = trial.table(1.0)
    with table:
        for frame, time_s in enumerate(points.times_s):
            xy, radius = points.xy[frame], points.radii[frame]
            box = np.array([*xy.min(axis=0), *xy.max(axis=0)])
            found = [
                Instance(xy + 3000 * n, np.ones(26), box, track=n + 1, radius=radius)
                for n in range(animals)
            ]
            table.add(frame, found, float(time_s))
    return points


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def trot():
    return moving(head_mm=(20.0, -10.0), pelvis_mm=(15.0, -5.0))


@pytest.fixture
def trot_csv(trot, tmp_path):
    write(PlainTable(tmp_path / "trot.csv", trot.table().names), trot)
    return tmp_path / "trot.csv"


def test_a_trot_is_measured_and_written(call_tool, trot, trot_csv, tmp_path):
    out = tmp_path / "out"
    scale = ("--mm-per-px", trot.mm_per_px, "--replicates", 20)
    text = call_tool("gait", trot_csv, "--out", out, *scale)
    assert "trot, " in text
    assert "pelvis PDmin: " in text
    assert sorted(path.name for path in out.iterdir()) == [*TABLES[:2], "trials.csv", "trot.html"]
    trials = {(row["part"], row["measure"]): row for row in rows(out / "trials.csv")}
    found = trials["head", "HDmin"]
    assert float(found["mean"]) == pytest.approx(20, abs=1.5)
    assert float(found["low"]) < float(found["mean"]) < float(found["high"])
    assert (found["unit"], found["gait"], found["table"]) == ("mm", "trot", str(trot_csv))
    strides = rows(out / "strides.csv")
    assert {row["footfalls"] for row in strides} <= {
        f"{a} {b}" for a in ("lh+rf", "rf+lh") for b in ("rh+lf", "lf+rh")
    }
    percents = [int(row["percent"]) for row in rows(out / "curves.csv")]
    assert percents[:101] == list(range(101))
    assert "--overwrite" in call_tool("gait", trot_csv, "--out", out, *scale, code=2)
    call_tool("gait", trot_csv, "--out", out, *scale, "--overwrite")


def test_a_folder_of_tables_with_names_of_their_own(call_tool, trot, tmp_path):
    names = [f"punkt {name}" for name in trot.table().names]
    folder = tmp_path / "tables"
    folder.mkdir()
    write(DeepLabCutTable(folder / "a.csv", names), trot)
    (folder / "b.csv").write_text("image,nothing\n")
    (folder / "notes.txt").write_text("no table")
    own = {name: f"punkt {name}" for name in trot.table().names}
    (tmp_path / "names.json").write_text(json.dumps(own))
    settings = ("--fps", 60, "--names", tmp_path / "names.json", "--replicates", 20)
    text = call_tool("gait", folder, "--out", tmp_path / "out", *settings, code=1)
    assert "1 of 2 animals could not be measured" in text
    assert "b.csv" in text
    assert {row["gait"] for row in rows(tmp_path / "out" / "trials.csv")} == {"trot"}


def test_animals_of_one_table_are_apart(call_tool, tmp_path):
    trial = moving(strides=4)
    write(PlainTable(tmp_path / "two.csv", trial.table().names), trial, animals=2)
    settings = ("--out", tmp_path / "out", "--replicates", 20)
    assert "animal 2: trot" in call_tool("gait", tmp_path / "two.csv", *settings)
    pages = sorted(path.name for path in (tmp_path / "out").glob("*.html"))
    assert pages == ["two_1.html", "two_2.html"]
    assert {row["animal"] for row in rows(tmp_path / "out" / "strides.csv")} == {"1", "2"}


def test_pages_name_their_video_by_its_way_and_tables_of_one_name_have_a_page_each(
    call_tool, tmp_path
):
    trial = moving(strides=4)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write(PlainTable(tmp_path / folder / "trot.csv", trial.table().names), trial)
    video = tmp_path / "a" / "my trot#1.mp4"
    video.write_bytes(b"")
    settings = ("--out", tmp_path / "out", "--replicates", 20)
    both = (tmp_path / "a" / "trot.csv", tmp_path / "b" / "trot.csv")
    assert "one table" in call_tool("gait", *both, *settings, "--video", video, code=2)
    missing = call_tool("gait", both[0], *settings, "--video", tmp_path / "no.mp4", code=2)
    assert "no.mp4" in missing
    assert not (tmp_path / "out").exists()
    call_tool("gait", both[0], *settings, "--video", video)
    page = (tmp_path / "out" / "trot.html").read_text()
    assert 'src="../a/my%20trot%231.mp4"' in page
    call_tool("gait", *both, *settings, "--overwrite")
    assert (tmp_path / "out" / "trot_2.html").is_file()
    assert "<video" not in (tmp_path / "out" / "trot.html").read_text()


@pytest.mark.parametrize(
    ("content", "arguments", "said"),
    [
        ("image,time_s\n", (), "no column"),
        (None, (), "no file"),
        ("image,time_s,animal,keypoint,x_px,y_px\n0,0,1,nose,1,2\n", (), "12 to 20000 frames"),
        ("x", ("--mm-per-px", 2, "--height-mm", 1600), "not allowed with"),
        ("x", ("--fps", 0), "above 0"),
        ("x", ("--level", 1), "0.999"),
        ("x", ("--names", "none.json"), "none.json"),
    ],
)
def test_wrong_calls_are_one_sentence(call_tool, tmp_path, content, arguments, said):
    if content is not None:
        (tmp_path / "a.csv").write_text(content)
    out = tmp_path / "out"
    sentence = call_tool("gait", tmp_path / "a.csv", "--out", out, *arguments, code=2)
    assert said in sentence
    assert not out.exists() or not any(out.iterdir())
