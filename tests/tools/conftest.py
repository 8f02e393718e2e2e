"""Tools, run in this process: as a subprocess they would spend most of their time on imports."""

import contextlib
import runpy
import sys

import pytest

from tests.conftest import REPO


@pytest.fixture
def call_tool(monkeypatch, capfd):
    """Run ``tools/NAME.py`` as its process would; check its end, and return what it prints.

    Of a wrong call, which must end with code 2, that is the one sentence on stderr.
    """

    def call(name: str, *arguments, code: int = 0) -> str:
        path = str(REPO / "tools" / f"{name}.py")
        monkeypatch.setattr(sys, "argv", [path, *map(str, arguments)])
        monkeypatch.setattr("equikpt.cli.entry.ending_on_signals", contextlib.nullcontext)
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            runpy.run_path(path, run_name="__main__")
        out, err = capfd.readouterr()
        assert end.value.code == code, out + err
        if code != 2:
            return out
        assert "Traceback" not in err
        sentence = err.splitlines()[-1]
        assert sentence.startswith("error: ")
        return sentence

    return call
