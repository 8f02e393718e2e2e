import json

import pytest

from equikpt.metainfo import horse26, keypoint_set_text, read_keypoint_set
from tests.data_tools.test_sigma_pairs import clicked, horses, results, write

TOOL = "estimate_sigmas"
DOUBLE = ("--double", "a.json", "b.json")


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
    turned = content["categories"][0] | dict(keypoints=content["categories"][0]["keypoints"][::-1])
    write(tmp_path / "turned.json", content | dict(categories=[turned]))


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


@pytest.fixture
def own_set(tmp_path):
    """A project's keypoint set, edited by hand."""
    metainfo = {**horse26.METAINFO, "dataset_name": "mine", "sigmas_source": "guess: of a test"}
    text = keypoint_set_text(metainfo, "mine: made from labels")
    path = tmp_path / "project" / "keypoints.py"
    path.parent.mkdir()
    path.write_text(text.replace("    # lines", "    # mine: é\n    # lines"), encoding="utf-8")
    return path


def test_it_puts_them_into_a_projects_keypoint_set_and_keeps_the_rest(call_tool, own_set):
    before, text = read_keypoint_set(own_set), own_set.read_text(encoding="utf-8")
    assert "--write" in call_tool(TOOL, *DOUBLE)
    printed = call_tool(TOOL, *DOUBLE, "--write", own_set)
    assert f"written: the sigmas of {own_set}, 26 of 26 measured" in printed
    after = read_keypoint_set(own_set)
    assert all(new != old for new, old in zip(after["sigmas"], before["sigmas"], strict=True))
    assert after.pop("sigmas_source") == (
        "measured: two annotations, a.json and b.json, 40 instances"
    )
    assert {**after, "sigmas": 0} == {
        name: 0 if name == "sigmas" else value
        for name, value in before.items()
        if name != "sigmas_source"
    }
    edited = own_set.read_text(encoding="utf-8")
    head, _, tail = text.partition("    sigmas_source")
    assert edited.startswith(head)
    assert edited.endswith(tail[-3:])
    assert "# 'nose': 0." in edited


def test_those_that_are_not_measured_stay_and_the_set_says_so(call_tool, own_set, tmp_path):
    content = json.loads((tmp_path / "a.json").read_text())
    for row in content["annotations"]:
        row["keypoints"][3:6] = [0, 0, 0]  # l_eye is labelled nowhere
    write(tmp_path / "a.json", content)
    printed = call_tool(TOOL, *DOUBLE, "--write", own_set)
    assert "25 of 26 measured" in printed
    after = read_keypoint_set(own_set)
    assert after["sigmas"][1] == horse26.METAINFO["sigmas"][1]
    assert after["sigmas_source"].startswith("25 of 26 measured: two annotations")
    assert after["sigmas_source"].endswith("others as before: guess: of a test")


def test_without_enough_of_any_keypoint_nothing_is_written(call_tool, own_set, tmp_path):
    for name in ("a.json", "b.json"):
        content = json.loads((tmp_path / name).read_text())
        content["annotations"] = content["annotations"][:5]
        write(tmp_path / name, content)
    text = own_set.read_text(encoding="utf-8")
    said = call_tool(TOOL, *DOUBLE, "--write", own_set, code=2)
    assert "20 distances" in said
    assert own_set.read_text(encoding="utf-8") == text


def test_a_set_that_cannot_be_edited_stays_as_it_was(call_tool, own_set):
    text = own_set.read_text(encoding="utf-8") + "dataset_info['sigmas'] = [0.1] * 26\n"
    own_set.write_text(text, encoding="utf-8")
    assert "by hand" in call_tool(TOOL, *DOUBLE, "--write", own_set, code=2)
    assert own_set.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        pytest.param("--double a.json b.json --write horse26", "horse26", id="no file"),
        pytest.param("--double a.json b.json --write s.py --metainfo p1p2", "--write", id="two"),
        pytest.param("--double turned.json a.json", "another order", id="order"),
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
