from __future__ import annotations

import json

import pytest

from tests.data_tools.test_sigma_pairs import clicked, horses, results, write


@pytest.fixture
def files(tmp_path):
    content = horses(40)
    write(tmp_path / "gt.json", content)
    write(tmp_path / "a.json", clicked(content, 1))
    write(tmp_path / "b.json", clicked(content, 2))
    write(tmp_path / "results.json", results(clicked(content, 3)))
    renamed = json.loads(json.dumps(content).replace('"nose"', '"muzzle"'))
    write(tmp_path / "renamed.json", renamed)
    write(tmp_path / "text.json", "text")
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [("--double", "a.json", "b.json"), ("--gt", "gt.json", "--predictions", "results.json")],
    ids=["double", "predictions"],
)
def test_it_tells_and_writes_and_refuses_to_overwrite(run_tool, files, arguments):
    arguments = (*arguments, "--out", "sigmas.py", "--group-regex", r"^(\d+)/")
    done = run_tool("estimate_sigmas.py", *arguments, cwd=files)
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["keypoint", "distances", "present", "sigma", "low", "high", "ratio"]
    assert rows[0].split()[0] == "nose"
    assert "note: instances in both: 40" in done.stdout
    scope: dict = {}
    exec((files / "sigmas.py").read_text(), scope)
    assert len(scope["dataset_info"]["sigmas"]) == 26
    again = run_tool("estimate_sigmas.py", *arguments, cwd=files)
    assert again.returncode == 2
    assert again.stderr.count("\n") == 1
    assert run_tool("estimate_sigmas.py", *arguments, "--force", cwd=files).returncode == 0


MISTAKES = [
    pytest.param(("--double", "a.json", "a.json"), "is one a copy of the other", id="copy"),
    pytest.param(("--double", "a.json", "none.json"), "no file at", id="missing"),
    pytest.param(("--gt", "gt.json"), "--truth with --predictions", id="half"),
    pytest.param(("--double", "a.json", "b.json", "--gt", "gt.json"), "--double", id="both"),
    pytest.param(
        ("--gt", "gt.json", "--predictions", "text.json"), "COCO results", id="no results"
    ),
    pytest.param(
        ("--double", "renamed.json", "a.json", "--out", "s.py"),
        "no file can be written",
        id="unknown",
    ),
    pytest.param(
        ("--double", "a.json", "b.json", "--metainfo", "p1p2"), "26 keypoints and p1p2", id="others"
    ),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES)
def test_a_wrong_call_is_a_sentence(run_tool, files, arguments, words):
    done = run_tool("estimate_sigmas.py", *arguments, cwd=files)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
