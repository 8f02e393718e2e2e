"""What ``equikpt.cli.run`` makes of a tool's end: exit code, and a line or a traceback."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from equikpt import cli
from equikpt.cli import is_user_error, sentence


@pytest.fixture
def script(tmp_path):
    """Write a tool with the given body of ``main`` and return the command that runs it."""

    def write(body: str) -> list[str]:
        path = tmp_path / "tool.py"
        path.write_text(
            "import json, sys, time\nfrom pathlib import Path\n"
            f"def main(argv=None):\n{textwrap.indent(textwrap.dedent(body), '    ')}\n"
            "if __name__ == '__main__':\n    from equikpt.cli import run\n    run(main)\n"
        )
        return [sys.executable, str(path)]

    return write


def finish(command, **variables):
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, **variables}
    )


@pytest.mark.parametrize("code", [0, 1, 2])
def test_returns_what_main_returns(script, code):
    assert finish(script(f"return {code}")).returncode == code


@pytest.mark.parametrize(
    "body",
    [
        "raise ValueError('expected 26 keypoints,\\n   got 17')",
        # raised by the library, from the mistake that equikpt named
        "try:\n    raise ValueError('expected 26 keypoints, got 17')\n"
        "except ValueError as error:\n    json.loads('{') if error else 0",
    ],
    ids=["raised by the tool", "beneath another error"],
)
def test_a_users_mistake_is_one_line(script, body):
    done = finish(script(body))
    assert done.returncode == 2
    assert done.stderr == "error: expected 26 keypoints, got 17\n"


def test_a_mistake_named_by_the_package_is_one_line(script):
    done = finish(script("from equikpt.config_files import find_config\nfind_config('nobody')"))
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("error: expected the path of a config file")


@pytest.mark.parametrize(
    "body",
    [
        "json.loads('{')",
        "raise RuntimeError('a bug')",
        "raise KeyError('a bug')",
        "try:\n    raise RuntimeError('a bug')\nexcept RuntimeError:\n    json.loads('{')",
    ],
    ids=["ValueError of a library", "RuntimeError", "KeyError", "beneath another error"],
)
def test_any_other_error_keeps_its_traceback(script, body):
    done = finish(script(body))
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_traceback_of_a_mistake_on_demand(script):
    done = finish(script("raise ValueError('expected this')"), EQUIKPT_TRACEBACK="1")
    assert done.returncode == 2
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("lines", [1, 100_000], ids=["in the buffer", "over the buffer"])
def test_a_reader_that_leaves_is_no_error(script, lines):
    command = script(
        f"time.sleep(0.3)\nfor _ in range({lines}):\n    sys.stdout.write('line\\n')\nreturn 0"
    )
    tool = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    )
    tool.stdout.close()
    err = tool.stderr.read()
    assert (tool.wait(timeout=60), err) == (0, "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_is_told_by_the_exit_code(script, tmp_path, number, code):
    flag = tmp_path / "started"
    tool = subprocess.Popen(
        script(f"Path({str(flag)!r}).touch()\ntime.sleep(60)\nreturn 0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # pytest in the background ignores SIGINT, and so would the tool
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    limit = time.monotonic() + 30
    while not flag.exists():
        assert time.monotonic() < limit, "the tool did not start"
        time.sleep(0.02)
    tool.send_signal(number)
    _, err = tool.communicate(timeout=30)
    assert tool.returncode == code
    assert "Traceback" not in err


def test_an_error_that_was_never_raised_is_not_a_users():
    assert not is_user_error(ValueError("no traceback"))


def test_sentence_is_one_line():
    assert sentence(ValueError("expected a\n    file")) == "expected a file"


def test_the_size_of_images_is_an_option_of_tools(monkeypatch, capsys):
    monkeypatch.setenv(cli.MAX_MEGAPIXELS_VARIABLE, "1")
    parser = argparse.ArgumentParser()
    cli.add_max_megapixels(parser)
    assert vars(parser.parse_args(["--max-megapixels", "900"])) == {}
    assert os.environ[cli.MAX_MEGAPIXELS_VARIABLE] == "900"
    for wrong in ("0", "many"):
        with pytest.raises(SystemExit) as stopped:
            parser.parse_args(["--max-megapixels", wrong])
        assert stopped.value.code == 2
        assert f"expected --max-megapixels to be a number above 0, got '{wrong}'" in (
            capsys.readouterr().err
        )
