"""Files of a video that appear together."""

import json
import shutil

import pytest

from equikpt.tracks.publishing import Outputs

SETTINGS = dict(model="a.onnx", boxes=((1, 2, 3, 4),))


def write(outputs, *names, text="new"):
    for name in names:
        outputs.place(name).write_text(text)


def test_files_appear_with_their_statement(tmp_path):
    outputs = Outputs(tmp_path, "trot", SETTINGS)
    assert not outputs.is_done(overwrite=False)
    write(outputs, "trot.csv", "slp/trot.slp")
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == []
    outputs.finish(dict(frames=3))
    stated = json.loads((tmp_path / "trot.json").read_text())
    assert stated["files"] == ["slp/trot.slp", "trot.csv"]
    assert stated["frames"] == 3
    assert {path.name for path in tmp_path.iterdir()} == {"trot.csv", "trot.json", "slp"}
    assert Outputs(tmp_path, "trot", SETTINGS).is_done(overwrite=False)


def test_other_settings_are_refused_and_replaced_whole(tmp_path):
    outputs = Outputs(tmp_path, "trot", SETTINGS)
    write(outputs, "trot.csv", "slp/trot.slp", text="old")
    outputs.finish({})
    other = Outputs(tmp_path, "trot", {**SETTINGS, "model": "b.onnx"})
    with pytest.raises(FileExistsError, match="--overwrite"):
        other.is_done(overwrite=False)
    assert not other.is_done(overwrite=True)
    write(other, "trot.csv")
    other.finish({})
    assert (tmp_path / "trot.csv").read_text() == "new"
    assert not (tmp_path / "slp" / "trot.slp").exists()


def test_a_table_of_somebody_else_is_not_replaced(tmp_path):
    (tmp_path / "trot.csv").write_text("mine")
    with pytest.raises(FileExistsError, match="not of this command"):
        Outputs(tmp_path, "trot", SETTINGS).is_done(overwrite=False)


def test_what_was_killed_while_it_moved_is_finished(tmp_path):
    outputs = Outputs(tmp_path, "trot", SETTINGS)
    write(outputs, "trot.csv", "coco/trot.json")
    outputs.finish({})
    part = tmp_path / ".trot.host-77.part"
    part.mkdir()
    shutil.move(tmp_path / "trot.json", part)  # the statement is the last to move
    again = Outputs(tmp_path, "trot", SETTINGS)
    assert again.is_done(overwrite=False)
    assert not part.exists()


def test_what_was_killed_before_is_begun_anew_and_cleared(tmp_path):
    for name in (".trot.host-77.part", ".trot.b.host-78.part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trot.csv").write_text("half")
    outputs = Outputs(tmp_path, "trot", SETTINGS)
    assert not outputs.is_done(overwrite=False)
    write(outputs, "trot.csv")
    outputs.finish({})
    assert (tmp_path / "trot.csv").read_text() == "new"
    assert [path.name for path in tmp_path.glob(".*")] == [
        ".trot.b.host-78.part"
    ]  # of another video


def test_a_video_of_which_a_file_is_gone_is_not_done(tmp_path):
    outputs = Outputs(tmp_path, "trot", SETTINGS)
    write(outputs, "trot.csv", "slp/trot.slp")
    outputs.finish({})
    (tmp_path / "slp/trot.slp").unlink()
    assert not Outputs(tmp_path, "trot", SETTINGS).is_done(overwrite=False)
