from __future__ import annotations

import pytest

from equikpt.data_tools.project.folder import RECORD, Project


@pytest.fixture
def project(tmp_path) -> Project:
    project = Project(tmp_path / "cat")
    project.choose({"input": "a.zip", "minutes": 5.0, "name": None}, overwrite=False)
    project.done("parts", {"lines": []})
    project.done("config", {"lines": ["made"]}, {"config.py": b"a = 1\n"})
    return project


def test_what_is_done_is_known_in_the_next_run(project):
    again = Project(project.root)
    assert again.facts("config") == {"lines": ["made"]}
    assert again.facts("readme") is None
    assert again.options == {"input": "a.zip", "minutes": 5.0}
    (project.root / "config.py").unlink()
    assert again.facts("config") is None


def test_options_of_a_former_run_stand(project):
    assert project.choose({"input": None, "minutes": 5.0}, overwrite=False)["input"] == "a.zip"
    with pytest.raises(ValueError, match=r"--minutes 5\.0, got --minutes 9"):
        project.choose({"minutes": 9}, overwrite=False)
    assert project.choose({"minutes": 9}, overwrite=True)["minutes"] == 9


def test_a_first_call_that_failed_binds_nobody(tmp_path):
    project = Project(tmp_path / "cat")
    project.choose({"input": "a.zip"}, overwrite=False)
    project.done("labels", {"lines": []})
    again = Project(project.root)
    assert again.choose({"input": "b.zip"}, overwrite=False) == {"input": "b.zip"}
    assert again.facts("labels") is None


def test_what_is_edited_is_never_made_anew(project):
    assert not project.edited("config")
    project.choose({}, overwrite=True)
    assert Project(project.root).facts("config") is None  # a killed run leaves it to do as well
    (project.root / "config.py").write_text("a = 2\n")
    assert project.edited("config")
    assert project.facts("config") == {"lines": ["made"]}


def test_an_edited_file_stays_where_another_is_missing(project):
    project.done("parts", {"lines": []}, {"train.json": b"1", "val.json": b"2"})
    (project.root / "val.json").unlink()
    assert project.facts("parts") is None
    (project.root / "train.json").write_text("3")
    assert project.facts("parts") is not None


@pytest.mark.parametrize("name", ["config.py", "data/annotations/train.json"])
def test_what_init_did_not_make_is_refused(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(FileExistsError):
        Project(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_a_damaged_record_is_refused(tmp_path, text):
    (tmp_path / RECORD).parent.mkdir()
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(ValueError):
        Project(tmp_path)
