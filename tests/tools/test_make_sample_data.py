TOOL = "make_sample_data"


def test_writes_once_and_then_says_so(call_tool, tmp_path):
    out = tmp_path / "set"
    arguments = ("--out", out, "--train", 2, "--val", 1, "--seed", 3, "--jobs", 1)
    assert "3 images written" in call_tool(TOOL, *arguments)
    assert len(list((out / "images").rglob("*.jpg"))) == 3
    assert "is complete, nothing to do" in call_tool(TOOL, *arguments)
    assert "overwrite" in call_tool(TOOL, *arguments, "--test", 1, code=2)
    assert not (out / "images" / "test").exists()


def test_off_a_terminal_it_reports_in_lines(capsys, monkeypatch, tmp_path):
    from tools import make_sample_data

    monkeypatch.setattr(make_sample_data, "LINE_EVERY_S", 0.0)
    arguments = ["--out", str(tmp_path / "set"), "--train", "2", "--val", "0", "--jobs", "1"]
    assert make_sample_data.main(arguments) == 0
    assert "sample data: 2 of 2 images" in capsys.readouterr().out
