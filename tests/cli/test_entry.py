"""What ``equikpt.cli.entry.run`` makes of a tool's end: exit code, and a line or a traceback."""

from __future__ import annotations

import argparse
import errno
import json
import os
import platform
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from equikpt import __version__
from equikpt.cli.entry import MAX_SEED, SMALLEST, number, whole
from equikpt.core.errors import is_user_error, sentence


@pytest.fixture
def script(tmp_path):
    """Write a tool with the given body of ``main`` and return the command that runs it."""

    def write(body: str) -> list[str]:
        path = tmp_path / "tool.py"
        path.write_text(
            "import json, sys, time\nfrom pathlib import Path\n"
            f"def main(argv=None):\n{textwrap.indent(textwrap.dedent(body), '    ')}\n"
            "if __name__ == '__main__':\n    from equikpt.cli.entry import run\n    run(main)\n"
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


def test_a_long_sentence_keeps_both_its_ends():
    told = sentence(ValueError(f"expected a number, found {'9' * 10**5}; correct it"))
    assert len(told) < 2100
    assert told.startswith("expected a number")
    assert told.endswith("; correct it")


def test_a_mistake_named_by_the_package_is_one_line(script):
    done = finish(script("from equikpt.core.configs import find_config\nfind_config('nobody')"))
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("error: expected the path of a config file")


@pytest.mark.parametrize(
    "body",
    [
        "json.loads('{')",
        "raise RuntimeError('a bug')",
        "raise KeyError('a bug')",
        "{[]: 'a bug'}",
        "int('a bug')",
        "try:\n    raise RuntimeError('a bug')\nexcept RuntimeError:\n    json.loads('{')",
    ],
    ids=[
        "ValueError of a library",
        "RuntimeError",
        "KeyError",
        "TypeError of a builtin",
        "ValueError of a builtin",
        "beneath another error",
    ],
)
def test_any_other_error_keeps_its_traceback(script, body):
    done = finish(script(body))
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert "please report it" in last
    assert __version__ in last
    assert platform.python_version() in last


def test_a_full_disk_is_one_line(script):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            script("print('x')\nreturn 0"),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("error: No space left on device: the disk is full")
    assert done.stderr.count("\n") == 1


PLACE_ERRORS = {
    "permission": (errno.EACCES, "change its permissions"),
    "read-only": (errno.EROFS, "read-only"),
    "full": (errno.ENOSPC, "the disk is full"),
    "quota": (errno.EDQUOT, "quota"),
    "no folder": (errno.ENOTDIR, "a file stands where a folder should be"),
    "folder": (errno.EISDIR, "a folder stands where a file should be"),
    "long name": (errno.ENAMETOOLONG, "a shorter one"),
}


@pytest.mark.parametrize(("number", "words"), PLACE_ERRORS.values(), ids=PLACE_ERRORS)
def test_what_the_system_says_of_a_place_is_a_users(number, words):
    """Raised anywhere, for what a library opened."""
    error = OSError(number, os.strerror(number), "data/labels.json")
    assert is_user_error(error)
    assert sentence(error).startswith("data/labels.json cannot be used")
    assert words in sentence(error)


def test_a_full_disk_has_no_name():
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert is_user_error(error)
    assert "the disk is full" in sentence(error)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EBADF, "Bad file descriptor"),
        OSError(errno.EACCES, "Permission denied", json.__file__),
        PermissionError(errno.EACCES, "Permission denied"),
        OSError("an image that is none"),
        KeyError("data/labels.json"),
    ],
    ids=["descriptor", "of the installation", "no name", "no number", "no OSError"],
)
def test_other_errors_of_libraries_are_bugs(error):
    assert not is_user_error(error)


def test_a_missing_file_is_a_users_where_the_command_named_it(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tool.py", "--data-root=data", "radiographs/1.png"])
    for name, named in (("data/x.json", True), ("radiographs/1.png", True), ("database/x", False)):
        assert is_user_error(FileNotFoundError(errno.ENOENT, "No such file", name)) is named


@pytest.mark.parametrize(
    ("parse", "good", "bad"),
    [
        (whole(1), "1", "0"),
        (whole(), "0", "-1"),
        (whole(), "7", "7.5"),
        (whole(0, MAX_SEED), str(MAX_SEED), str(MAX_SEED + 1)),
        (number(SMALLEST), "0.1", "0"),
        (number(0, 1), "1", "1.1"),
        (number(), "-3", "nan"),
        (number(), "1e9", "inf"),
        (number(), "2", "two"),
    ],
)
def test_numbers_of_the_command_line(parse, good, bad):
    assert parse(good) == float(good)
    with pytest.raises(argparse.ArgumentTypeError, match=f"expected a .*got '{bad}'"):
        parse(bad)


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
