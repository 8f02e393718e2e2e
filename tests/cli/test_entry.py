"""The end of a tool as ``equikpt.cli.entry.run`` makes it: exit code, and a line or a traceback."""

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
from equikpt.core.errors import is_user_error, sentence


@pytest.fixture
def start(tmp_path):
    """Start a tool with the given body of ``main``."""

    def start(body: str, stdout=subprocess.PIPE, **variables) -> subprocess.Popen:
        path = tmp_path / "tool.py"
        path.write_text(
            "import json, sys, time\nfrom pathlib import Path\n"
            f"def main(argv=None):\n{textwrap.indent(textwrap.dedent(body), '    ')}\n"
            "if __name__ == '__main__':\n    from equikpt.cli.entry import run\n    run(main)\n"
        )
        return subprocess.Popen(
            [sys.executable, str(path)],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **variables},
            # pytest in the background ignores SIGINT, and so would the tool
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    return start


def finish(tool: subprocess.Popen) -> tuple[int, str]:
    """Exit code and stderr."""
    _, err = tool.communicate(timeout=60)
    return tool.returncode, err


@pytest.mark.parametrize("code", [0, 1, 2])
def test_returns_what_main_returns(start, code):
    assert finish(start(f"return {code}")) == (code, "")


SENTENCE = "expected 26 keypoints, got 17"


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
def test_a_users_mistake_is_one_line(start, body):
    assert finish(start(body)) == (2, f"error: {SENTENCE}\n")
    code, err = finish(start(body, EQUIKPT_TRACEBACK="1"))
    assert code == 2
    assert "Traceback" in err


def test_a_mistake_named_by_the_package_is_one_line(start):
    code, err = finish(start("from equikpt.core.configs import find_config\nfind_config('nobody')"))
    assert code == 2
    assert err.startswith("error: expected the path of a config file")
    assert err.count("\n") == 1


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
    ids=["a library's", "RuntimeError", "KeyError", "TypeError", "a builtin's", "beneath another"],
)
def test_any_other_error_keeps_its_traceback(start, body):
    code, err = finish(start(body))
    assert code == 1
    assert "Traceback" in err
    last = err.splitlines()[-1]
    assert all(word in last for word in ("report it", __version__, platform.python_version()))


def test_a_full_disk_is_one_line(start):
    with open("/dev/full", "w") as full:
        code, err = finish(start("print('x')\nreturn 0", stdout=full))
    assert code == 2
    assert err.startswith("error: No space left on device: the disk is full")
    assert err.count("\n") == 1


@pytest.mark.parametrize("lines", [1, 100_000], ids=["in the buffer", "over the buffer"])
def test_a_reader_that_leaves_is_no_error(start, lines):
    body = f"time.sleep(0.3)\nfor _ in range({lines}):\n    sys.stdout.write('line\\n')\nreturn 0"
    tool = start(body, PYTHONUNBUFFERED="")
    tool.stdout.close()
    err = tool.stderr.read()
    assert (tool.wait(timeout=60), err) == (0, "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_is_told_by_the_exit_code(start, number, code):
    tool = start("print('started', flush=True)\ntime.sleep(60)\nreturn 0")
    assert tool.stdout.readline() == "started\n"
    time.sleep(0.05)
    tool.send_signal(number)
    ended, err = finish(tool)
    assert ended == code
    assert "Traceback" not in err


# --- errors as sentences ---


@pytest.mark.parametrize(
    ("number", "name", "words"),
    [
        (errno.EACCES, "labels.json", "change its permissions"),
        (errno.EROFS, "labels.json", "read-only"),
        (errno.ENOSPC, "labels.json", "the disk is full"),
        (errno.EDQUOT, "labels.json", "quota"),
        (errno.ENOTDIR, "labels.json", "a file stands where a folder should be"),
        (errno.EISDIR, "labels.json", "a folder stands where a file should be"),
        (errno.ENAMETOOLONG, "labels.json", "a shorter one"),
        (errno.ENOSPC, None, "the disk is full"),
    ],
)
def test_the_systems_error_on_a_path_is_a_users(number, name, words):
    """Raised anywhere, for what a library opened."""
    error = OSError(number, os.strerror(number), *([name] if name else []))
    assert is_user_error(error)
    assert sentence(error).startswith(f"{name} cannot be used" if name else "No space left")
    assert words in sentence(error)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EBADF, "Bad file descriptor"),
        OSError(errno.EACCES, "Permission denied", json.__file__),
        PermissionError(errno.EACCES, "Permission denied"),
        OSError("an image that is none"),
        KeyError("data/labels.json"),
        ValueError("never raised"),
    ],
    ids=["descriptor", "of the installation", "no name", "no number", "no OSError", "no traceback"],
)
def test_other_errors_of_libraries_are_bugs(error):
    assert not is_user_error(error)


def test_a_missing_file_is_a_users_where_the_command_named_it(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tool.py", "--data-root=data", "radiographs/1.png"])
    for name, named in (("data/x.json", True), ("radiographs/1.png", True), ("database/x", False)):
        assert is_user_error(FileNotFoundError(errno.ENOENT, "No such file", name)) is named


def test_a_sentence_is_one_line_that_keeps_both_its_ends():
    assert sentence(ValueError("expected a\n    file")) == "expected a file"
    text = sentence(ValueError(f"expected a number, found {'9' * 10**5}; correct it"))
    assert len(text) < 2100
    assert text.startswith("expected a number")
    assert text.endswith("; correct it")
