import json

import pytest

from tests.data_tools.test_sigma_pairs import clicked, horses, results, write

TOOL = "estimate_sigmas"


@pytest.fixture(autouse=True)
def _files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = horses(40)
    write(tmp_path / "gt.json", content)
    write(tmp_path / "a.json", clicked(content, 1))
    write(tmp_path / "b.json", clicked(content, 2))
    write(tmp_path / "results.json", results(clicked(content, 3)))
    renamed = json.loads(json.dumps(content).replace('"nose"', '"muzzle"'))
    write(tmp_path / "renamed.json", renamed)


@pytest.mark.parametrize("source", ["--double a.json b.json", "--gt gt.json --predictions r"])
def test_it_prints_and_writes_and_refuses_to_overwrite(call_tool, tmp_path, source):
    source = [*source.replace(" r", " results.json").split(), "--group-regex", r"^(\d+)/"]
    arguments = (*source, "--out", "sigmas.py")
    printed = call_tool(TOOL, *arguments)
    head, *rows = printed.splitlines()
    assert head.split() == ["keypoint", "distances", "present", "sigma", "low", "high", "ratio"]
    assert rows[0].split()[0] == "nose"
    assert "note: instances in both: 40" in printed
    scope: dict = {}
    exec((tmp_path / "sigmas.py").read_text(), scope)
    assert len(scope["dataset_info"]["sigmas"]) == 26
    assert "overwrite" in call_tool(TOOL, *arguments, code=2)
    call_tool(TOOL, *arguments, "--force")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        pytest.param("--double a.json a.json", "is one a copy of the other", id="copy"),
        pytest.param("--double a.json none.json", "none.json", id="missing"),
        pytest.param("--gt gt.json", "--gt with --predictions", id="half"),
        pytest.param("--double a.json b.json --gt gt.json", "--double", id="both"),
        pytest.param(
            "--double renamed.json a.json --out s.py", "no file can be written", id="unknown"
        ),
        pytest.param("--double a.json b.json --metainfo p1p2", "p1p2", id="others"),
    ],
)
def test_a_wrong_call_is_a_sentence(call_tool, line, words):
    assert words in call_tool(TOOL, *line.split(), code=2)
