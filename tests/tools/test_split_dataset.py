from __future__ import annotations

import json

import pytest

from tests.data_tools.test_split import herd


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "all.json"
    path.write_text(json.dumps(herd()))
    return path


def test_it_divides_tells_and_refuses_to_overwrite(run_tool, labels):
    out = labels.parent / "out"
    arguments = ("--ann-file", labels, "--output", out, "--group-regex", r"^(v\d+)/", "--stratify")
    done = run_tool("split_dataset.py", *arguments)
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["train", "val", "test", "all"]
    assert rows[0].split()[0] == "images"
    assert rows[0].split()[-1] == "30"
    assert "images were not compared" in done.stdout
    assert sorted(path.name for path in (out / "annotations").iterdir()) == [
        "test.json", "train.json", "val.json",
    ]  # fmt: skip
    again = run_tool("split_dataset.py", *arguments)
    assert again.returncode == 2
    assert again.stderr.count("\n") == 1
    assert "--force" in again.stderr
    assert run_tool("split_dataset.py", *arguments, "--force").returncode == 0


MISTAKES = [
    pytest.param(["--ratios", "0.8", "0.3"], "whose sum is 1", id="ratios"),
    pytest.param(["--counts", "many", "few"], "a number of images or 'rest'", id="counts"),
    pytest.param(["--folds", "0"], "a whole number of at least 2", id="folds"),
    pytest.param(["--folds", "3", "--counts", "1", "2"], "not allowed with", id="both"),
    pytest.param(["--by", "group"], "--by group needs", id="no group"),
    pytest.param(["--by", "image", "--group-key", "video"], "does not go with", id="by image"),
    pytest.param(["--group-regex", "("], "is no regular expression", id="regex"),
    pytest.param(["--link", "--copy"], "not allowed with", id="link and copy"),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES)
def test_a_wrong_call_is_a_sentence(run_tool, labels, arguments, words):
    out = labels.parent / "out"
    done = run_tool("split_dataset.py", "--ann-file", labels, "--output", out, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()


def test_frames_of_one_clip_are_refused_as_separate_images(run_tool, real_data, tmp_path):
    """Every sixth frame of this clip is there twice."""
    folder = real_data / "horse10_sample20"
    arguments = ("--ann-file", folder / "horse.json", "--img-dir", folder, "--output", tmp_path)
    done = run_tool("split_dataset.py", *arguments)
    assert done.returncode == 2
    assert "nearly the same would be parted" in done.stderr
    together = run_tool("split_dataset.py", *arguments, "--near-duplicates")
    assert together.returncode == 0, together.stderr
    assert "none parted" in together.stdout
