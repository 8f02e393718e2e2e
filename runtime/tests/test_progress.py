import sys

import pytest

from equikpt_runtime.progress import progress


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_line_ends_with_what_was_done(is_terminal, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    assert list(progress(range(3), 5, "images")) == [0, 1, 2]  # two could not be read
    said = capsys.readouterr().err
    assert said.endswith("\n") == is_terminal
    assert ("3 of 5 images" in said) == is_terminal
