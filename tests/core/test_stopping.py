"""A signal ends a tool with its code and a sentence, whatever error it has become on its way."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import REPO

BODIES = {
    "another error by a library": "except:\n        raise SyntaxError('failed to format')",
    "a user's mistake": "except BaseException:\n        raise ValueError('expected this')",
    "a worker hangs": "finally:\n        threading.Thread(target=time.sleep, args=(60,)).start()",
    "swallowed": "except:\n        time.sleep(60)",
}
TOOL = """
import sys, threading, time
from equikpt.core import stopping
from equikpt.cli.entry import run
stopping.GRACE_S = 1.0
def wait():
    print("ready", flush=True)
    time.sleep(60)
def main(argv=None):
    stopping.advise("go on with: python train.py --resume")
    try:
        wait()
    {body}
if __name__ == "__main__":
    run(main)
"""


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
@pytest.mark.parametrize(
    ("number", "code", "words"),
    [(signal.SIGINT, 130, "stopped by the keyboard"), (signal.SIGTERM, 143, "stopped by SIGTERM")],
    ids=["Ctrl-C", "SIGTERM"],
)
def test_a_stop_is_a_stop(tmp_path, body, number, code, words):
    (tmp_path / "tool.py").write_text(TOOL.format(body=body))
    tool = subprocess.Popen(
        [sys.executable, tmp_path / "tool.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        # pytest in the background ignores SIGINT, and so would the tool
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert tool.stdout.readline() == "ready\n"
    begin = time.monotonic()
    tool.send_signal(number)
    _, err = tool.communicate(timeout=30)
    assert tool.returncode == code
    assert err == f"{words}; go on with: python train.py --resume\n"
    assert time.monotonic() - begin < 20
