"""The command with a tiny exported model, whose points lie in the middle of what it sees."""

import json

import cv2
import numpy as np
import pandas as pd
import pytest

from runtime.tests.tiny_models import description, write_model

FRAMES = 20


@pytest.fixture
def model(tmp_path):
    about = description(input={**description()["input"], "size": [48, 48]})
    corners = np.array([[7, 7], [24, 41], [41, 7]], np.float32)
    return write_model(tmp_path / "tiny.onnx", about, dict(keypoints=corners))


@pytest.fixture
def film(tmp_path):
    """Function of a name to a bright video, whose last frames are dark."""

    def write(name="film", dark=0):
        path = tmp_path / f"{name}.avi"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (96, 64))
        for frame in range(FRAMES):
            level = 0 if frame >= FRAMES - dark else 200
            writer.write(np.full((64, 96, 3), level, np.uint8))
        writer.release()
        return path

    return write


def test_a_video_becomes_a_table_a_statement_and_a_video(call_tool, model, film, tmp_path):
    out = tmp_path / "out"
    arguments = (film(), "--model", model, "--out", out, "--box", 20, 10, 60, 50, "--video")
    printed = call_tool("track", *arguments, "--format", "dlc-csv", "coco")
    assert f"1 animal in {FRAMES} frames" in printed
    rows = pd.read_csv(out / "film.csv")
    assert len(rows) == 3 * FRAMES
    assert rows["left_px"][0] == 20
    assert {*rows["status"]} == {"measured"}
    assert (out / "dlc-csv/film.csv").is_file()
    assert cv2.VideoCapture(str(out / "film_pose.avi")).get(cv2.CAP_PROP_FRAME_COUNT) == FRAMES
    stated = json.loads((out / "film.json").read_text())
    assert stated["animals"][0]["frames"] == FRAMES
    assert stated["frames"] == FRAMES
    assert not [*out.glob(".*")]


def test_what_is_done_is_skipped_and_other_settings_are_refused(call_tool, model, film, tmp_path):
    out, video = tmp_path / "out", film()
    arguments = (video, "--model", model, "--out", out)
    call_tool("track", *arguments)
    before = (out / "film.csv").stat().st_mtime_ns
    assert "done before" in call_tool("track", *arguments)
    assert (out / "film.csv").stat().st_mtime_ns == before
    assert "--overwrite" in call_tool("track", *arguments, "--cutoff", 5, code=2)
    call_tool("track", *arguments, "--cutoff", 5, "--overwrite")
    assert (out / "film.csv").stat().st_mtime_ns > before


def test_several_videos_of_which_one_shows_nothing(call_tool, model, film, tmp_path):
    (tmp_path / "broken.mp4").write_text("no video")
    videos = (film("a"), tmp_path / "broken.mp4", film("b", dark=FRAMES), film("c", dark=8))
    printed = call_tool("track", *videos, "--model", model, "--out", tmp_path / "out", code=1)
    assert "broken.mp4" in printed
    assert f"b.avi: no animal was found in {FRAMES} frames" in printed
    assert f"8 of {FRAMES} frames lost an animal" in printed
    assert {path.name for path in (tmp_path / "out").glob("*.csv")} == {"a.csv", "b.csv", "c.csv"}
    assert len(pd.read_csv(tmp_path / "out/c.csv")) == 3 * (FRAMES - 8)


def test_shards_are_the_videos_of_a_folder_each_once(call_tool, model, film, tmp_path):
    out = tmp_path / "out"
    for name in "abcde":
        film(name)
    made = []
    for part in (1, 2):
        call_tool("track", tmp_path, "--model", model, "--out", out, "--shard", f"{part}/2")
        made.append({path.stem for path in out.glob("*.csv")})
    assert made == [{"a", "c", "e"}, set("abcde")]


def test_workers_make_the_tables_that_one_process_makes(call_tool, model, film, tmp_path):
    pytest.importorskip("distributed")
    for name in "abc":
        film(name)
    (tmp_path / "broken.mp4").write_text("no video")
    alone, spread = tmp_path / "alone", tmp_path / "spread"
    call_tool("track", tmp_path, "--model", model, "--out", alone, code=1)
    arguments = (tmp_path, "--model", model, "--out", spread, "--workers", 2)
    printed = call_tool("track", *arguments, code=1)
    assert "broken.mp4" in printed
    for name in "abc":
        assert f"{name}.avi: 1 animal in {FRAMES} frames" in printed
        assert (spread / f"{name}.csv").read_text() == (alone / f"{name}.csv").read_text()
    assert not [*spread.glob(".*")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("film.avi", "./film.avi"), "two of the name film"),
        (("film.avi", "b.avi", "--box", 1, 2, 3, 4), "--box with one video"),
        (("gone.avi",), "gone.avi"),
        (("film.avi", "--look-every", 2), "--detector for --look-every"),
        (("film.avi", "--device", "cpu"), "--work-dir for --device"),
        (("film.avi", "--fill", -1), "at least 0"),
        (("film.avi", "--shard", "3/2"), "K/N"),
        (("film.avi", "--shard", "1/2", "--workers", 2), "one way to share"),
        (("empty",), "expected a video at empty"),
        (("film.avi", "--work-dir", "x"), "not allowed with"),
    ],
)
def test_wrong_calls_are_one_sentence(
    call_tool, model, film, tmp_path, monkeypatch, arguments, said
):
    film()
    film("b")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert said in call_tool("track", *arguments, "--model", model, "--out", "out", code=2)
    assert not (tmp_path / "out").exists()
