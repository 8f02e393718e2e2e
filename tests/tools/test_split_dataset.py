import json

from tests.data_tools.test_split import herd

TOOL = "split_dataset"


def test_it_divides_prints_and_refuses_to_overwrite(call_tool, tmp_path):
    labels, out = tmp_path / "all.json", tmp_path / "out"
    labels.write_text(json.dumps(herd()))
    arguments = ("--ann-file", labels, "--output", out, "--group-regex", r"^(v\d+)/", "--stratify")
    printed = call_tool(TOOL, *arguments)
    head, *rows = printed.splitlines()
    assert head.split() == ["train", "val", "test", "all"]
    assert rows[0].split()[0] == "images"
    assert rows[0].split()[-1] == "30"
    assert "images were not compared" in printed
    written = {path.name for path in (out / "annotations").iterdir()}
    assert written == {"test.json", "train.json", "val.json"}
    assert "overwrite" in call_tool(TOOL, *arguments, code=2)
    call_tool(TOOL, *arguments, "--force")


def test_frames_of_one_clip_are_refused_as_separate_images(call_tool, real_data, tmp_path):
    """Every sixth frame of this clip is there twice."""
    folder = real_data / "horse10_sample20"
    arguments = ("--ann-file", folder / "horse.json", "--img-dir", folder, "--output", tmp_path)
    assert "nearly the same would be parted" in call_tool(TOOL, *arguments, code=2)
    assert "none parted" in call_tool(TOOL, *arguments, "--near-duplicates")
