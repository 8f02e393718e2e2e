"""``setup.sh`` with a stand-in for Python and pip: its sentences, its stamps, its repairs."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
# All that the script may call beside Python and the compiler.
COMMANDS = """
awk bash cat cksum cp df dirname env find grep mkdir mv ps rm sed sh sleep tee touch uname
"""

FAKE_PYTHON = r"""#!/bin/sh
# Answers what setup.sh asks a Python; FAKE_* say how. Calls of pip go to $CALLS.
version=3.11
[ -r "$0.version" ] && read -r version <"$0.version"
case "$*" in
  *version_info*) printf '%s' "$version" ;;
  *_base_executable*) echo "$0" ;;
  *"import venv, ensurepip"*) [ -z "$FAKE_NO_VENV" ] ;;
  *get_config_var*) echo cc ;;
  *get_path*) echo "$FAKE_INCLUDE" ;;
  "-m venv "*)
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && echo "$version" >"$3/bin/python.version" ;;
  "-m pip --version") [ -z "$FAKE_NO_PIP" ] ;;
  "-m pip "*)
    echo "$*" >>"$CALLS"
    case "$*" in
      *"pip wheel"*)
        for word; do
          [ "$last" = -w ] && mkdir -p "$word" && touch "$word/x.whl"
          last=$word
        done ;;
      *x.whl*) touch "$0.xtcocotools" ;;
      *--target*) for word; do [ "$last" = --target ] && mkdir -p "$word"; last=$word; done ;;
    esac
    case "$*" in *"$FAKE_STOP_AT"*) [ -z "$FAKE_STOP_AT" ] || { echo started; sleep 60; } ;; esac
    case "$*" in *"$FAKE_FAIL_AT"*)
      [ -z "$FAKE_FAIL_AT" ] || { printf '%b\n' "$FAKE_MESSAGE"; exit 1; } ;; esac ;;
  *xtcocotools*) [ -f "$0.xtcocotools" ] && [ -z "$FAKE_BROKEN_XTCOCOTOOLS" ] ;;
  "-I -") cat >/dev/null; echo "$version$FAKE_MISSING" ;;
  tools/doctor.py) echo "the doctor's table"; exit "${FAKE_DOCTOR:-0}" ;;
  *) echo "Python $version" ;;
esac
"""

STAGES = [  # a word of each stage's pip call, in the order of the stages
    "--upgrade pip",
    "-r requirements/torch.txt",
    "-r requirements/runtime.txt",
    "-r requirements/mmstack.txt",
    "-r requirements/build.txt",
    "pip wheel",
    "x.whl",
    "-e runtime",
    "-e .",
    "-r requirements/dev.txt",
]


class Checkout:
    """A copy of the script in a folder of its own, and a PATH that holds only what we put there."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"  # the blank is part of the test
        self.root.mkdir()
        for name in ("setup.sh", "setup.py", "pyproject.toml"):
            shutil.copy(REPO / name, self.root)
        shutil.copytree(REPO / "requirements", self.root / "requirements")
        (self.root / "runtime").mkdir()
        shutil.copy(REPO / "runtime" / "pyproject.toml", self.root / "runtime")
        self.bin = folder / "bin"
        self.bin.mkdir()
        for command in COMMANDS.split():
            (self.bin / command).symlink_to(shutil.which(command))
        self.executable("cc", "#!/bin/sh\ncat >/dev/null\n")
        self.python = self.executable("python3.11", FAKE_PYTHON)
        (folder / "Python.h").touch()
        self.calls_file = folder / "calls"
        self.environment = {
            "PATH": str(self.bin),
            "HOME": str(folder),
            "CALLS": str(self.calls_file),
            "FAKE_INCLUDE": str(folder),
            "EQUIKPT_MIN_FREE_GB": "0",
        }

    def executable(self, name: str, text: str) -> Path:
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen:
        return subprocess.Popen(
            [shutil.which("bash"), str(self.root / "setup.sh"), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self.environment, **variables},
            # pytest in the background ignores SIGINT, and so would the script
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def setup(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
        process = self.start(*arguments, **variables)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def calls(self) -> list[str]:
        """Calls of pip since the last time this was asked."""
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        self.calls_file.unlink(missing_ok=True)
        return lines

    def is_complete(self) -> bool:
        result = self.setup()
        return result.returncode == 0 and self.calls() == []


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    return Checkout(tmp_path)


def refusal(result: subprocess.CompletedProcess) -> str:
    """The sentence of a run that refused: one line on stderr, exit code 2."""
    assert result.returncode == 2, result
    [line] = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line


# --- sentences before anything is made ---


def test_names_the_pythons_it_looked_for(checkout):
    checkout.python.unlink()
    assert "no Python 3.10 to 3.13 that runs" in refusal(checkout.setup())
    assert not (checkout.root / ".venv" / "bin").exists()


@pytest.mark.parametrize("version", ["2.7", "3.9", "3.14"])
def test_refuses_a_python_that_it_cannot_serve(checkout, version):
    (checkout.bin / "python3.11.version").write_text(version + "\n")
    line = refusal(checkout.setup(PYTHON="python3.11"))
    assert f"tried python3.11, which is {version}" in line


def test_passes_over_a_python_that_does_not_run(checkout):
    checkout.executable("python3.12", "#!/bin/sh\necho 'pyenv: command not found' >&2; exit 127\n")
    assert "(tried python3.12)" in refusal(checkout.setup(PYTHON="python3.12"))
    assert "(tried nowhere)" in refusal(checkout.setup("--python", "nowhere"))
    checkout.executable("python3.12", "#!/bin/sh\necho 'pyenv: command not found' >&2; exit 127\n")
    assert checkout.setup().returncode == 0


def test_names_missing_parts(checkout, tmp_path):
    line = refusal(checkout.setup(FAKE_NO_VENV="yes"))
    assert "lacks the module venv" in line
    assert "apt install python3.11-venv" in line
    (tmp_path / "Python.h").unlink()
    assert "Python.h is missing from" in refusal(checkout.setup())


def test_names_the_missing_compiler(checkout):
    (checkout.bin / "cc").unlink()
    assert "no C compiler found" in refusal(checkout.setup())
    # a shim that is there and does not run, as macOS has one, is no compiler either
    checkout.executable("gcc", "#!/bin/sh\nexit 1\n")
    assert "no C compiler found" in refusal(checkout.setup())


def test_free_space_and_options(checkout):
    line = refusal(checkout.setup(EQUIKPT_MIN_FREE_GB="99999999"))
    assert re.search(r"\d+ GB are free for .*, about 99999999 are needed", line)
    assert "not a whole number" in refusal(checkout.setup(EQUIKPT_MIN_FREE_GB="much"))
    assert "unknown option --fast" in refusal(checkout.setup("--fast"))
    assert checkout.setup("--help").stdout.startswith("usage:")


# --- what pip says, as one sentence ---


@pytest.mark.parametrize(
    ("stage", "message", "sentence"),
    [
        (
            "torch.txt",
            "WARNING: Retrying after connection broken by 'NewConnectionError(...)'\n"
            "ERROR: Could not find a version that satisfies the requirement torch>=2.4"
            " (from versions: none)\nERROR: No matching distribution found for torch>=2.4",
            "pip could not reach its package index for PyTorch: check the network",
        ),
        (
            "torch.txt",
            "Collecting numpy\n  Collecting scipy>=1\nERROR: Exception:\n"
            "Traceback (most recent call last):\nReadTimeoutError: HTTPSConnectionPool(): Read",
            "pip could not reach its package index for PyTorch",
        ),
        (
            "torch.txt",
            "Collecting torch\nERROR: Could not install packages: [Errno 28] No space left on"
            " device: '/tmp/x'",
            "filled up while installing PyTorch",
        ),
        (
            "mmstack.txt",
            "ERROR: No matching distribution found for mmpose==1.3.2",
            "the package index has no mmpose==1.3.2",
        ),
        ("runtime.txt", "error: metadata-generation-failed", "installing the libraries failed"),
    ],
    ids=["refused", "timeout", "disk full", "no such package", "anything else"],
)
def test_one_sentence_for_what_pip_met(checkout, stage, message, sentence):
    result = checkout.setup(FAKE_FAIL_AT=stage, FAKE_MESSAGE=message)
    assert sentence in refusal(result)
    assert message in result.stdout or stage != "runtime.txt"


def test_does_not_accept_an_xtcocotools_that_fails(checkout):
    line = refusal(checkout.setup(FAKE_BROKEN_XTCOCOTOOLS="yes"))
    assert "its mask functions fail" in line
    assert not checkout.is_complete()


@pytest.mark.parametrize(("code", "expected"), [("0", 0), ("1", 2)], ids=["well", "ill"])
def test_ends_with_the_doctor(checkout, code, expected):
    (checkout.root / "tools").mkdir()
    (checkout.root / "tools" / "doctor.py").touch()
    result = checkout.setup(FAKE_DOCTOR=code)
    assert "the doctor's table" in result.stdout
    assert result.returncode == expected
    if expected:
        assert "training would not work in" in refusal(result)
    assert ("doctor's table" in checkout.setup().stdout) == bool(expected)  # asked until well


# --- stages and stamps ---


def test_runs_every_stage_once(checkout):
    result = checkout.setup()
    assert result.returncode == 0, result.stderr
    calls = checkout.calls()
    assert len(calls) == len(STAGES)
    for word, call in zip(STAGES, calls, strict=True):
        assert word in call
        assert "--no-deps" in call or "mmstack.txt" not in call
    assert checkout.is_complete()


def test_dev_and_official_are_stages_of_their_own(checkout):
    checkout.setup("--no-dev")
    assert not any("dev.txt" in call for call in checkout.calls())
    checkout.setup("--official")
    dev, official = checkout.calls()
    assert "dev.txt" in dev
    assert "--no-deps --target" in official
    assert (checkout.root / ".venv" / "official").is_dir()
    assert not (checkout.root / ".venv" / "official.part").exists()
    assert checkout.is_complete()


def test_a_changed_requirement_and_another_index_are_installed(checkout):
    checkout.setup()
    checkout.calls()
    with (checkout.root / "requirements" / "dev.txt").open("a") as file:
        file.write("coverage\n")
    checkout.setup()
    assert "dev.txt" in checkout.calls()[-1]
    assert checkout.is_complete()
    url = "https://download.pytorch.org/whl/cpu"
    checkout.setup(TORCH_INDEX_URL=url)
    [call] = [call for call in checkout.calls() if f"--index-url {url}" in call]
    assert "--force-reinstall" in call
    assert checkout.is_complete()


def test_goes_on_after_a_failure(checkout):
    checkout.setup(FAKE_FAIL_AT="dev.txt", FAKE_MESSAGE="no")
    checkout.calls()
    assert checkout.setup().returncode == 0
    [call] = checkout.calls()
    assert "dev.txt" in call


def test_another_python_makes_it_anew_and_says_so(checkout):
    checkout.setup()
    checkout.calls()
    checkout.executable("python3.12", FAKE_PYTHON)
    (checkout.bin / "python3.12.version").write_text("3.12\n")
    assert checkout.setup(PYTHON="python3.11").returncode == 0
    assert checkout.calls() == []
    result = checkout.setup(PYTHON="python3.12")
    assert "is another (3.11) than asked for: making it anew" in result.stdout
    assert len(checkout.calls()) == len(STAGES)
    assert checkout.is_complete()  # without PYTHON, what is there is kept


@pytest.mark.parametrize("damage", ["python", "pip"])
def test_a_broken_environment_is_made_anew(checkout, damage):
    checkout.setup()
    checkout.calls()
    stray = checkout.root / ".venv" / "lib" / "half"
    stray.mkdir(parents=True)
    if damage == "python":
        (checkout.root / ".venv" / "bin" / "python").unlink()
        result = checkout.setup()
    else:
        (checkout.root / ".venv" / ".setup" / "base.done").unlink()
        result = checkout.setup(FAKE_NO_PIP="yes")
    assert "making it anew" in result.stdout
    assert len(checkout.calls()) == len(STAGES)
    assert not stray.exists()


def test_a_package_that_vanished_is_installed_again(checkout):
    checkout.setup()
    checkout.calls()
    result = checkout.setup(FAKE_MISSING=" without mmpose")
    assert "not whole, installing again: mmpose" in result.stdout
    assert any("mmstack.txt" in call for call in checkout.calls())
    # the stand-in goes on missing it, and that is not called complete
    assert "after all stages .venv still is 3.11 without mmpose" in refusal(result)


# --- interruption ---


def wait_for(condition, seconds: float = 30) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "what the test waits for did not happen"
        time.sleep(0.05)


def start_and_reach(checkout: Checkout, word: str) -> tuple[subprocess.Popen, int]:
    """A run that hangs in the pip call with ``word``, and the number of that pip's process."""
    process = checkout.start(FAKE_STOP_AT=word)
    child = checkout.root / ".venv" / ".setup" / "child"
    calls = checkout.calls_file
    wait_for(lambda: calls.exists() and word in calls.read_text())
    wait_for(lambda: child.exists() and child.read_text())  # the shell makes the file, then writes
    return process, int(child.read_text())


def is_alive(process_number: int) -> bool:
    try:
        os.kill(process_number, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process_number}/status")
    return not (status.exists() and "State:\tZ" in status.read_text())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stops_with_its_pip_and_goes_on(checkout, number, code):
    process, pip = start_and_reach(checkout, "runtime.txt")
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert err.splitlines()[-1] == "stopped: run ./setup.sh again, it goes on from here"
    wait_for(lambda: not is_alive(pip))
    checkout.calls()
    assert checkout.setup().returncode == 0
    assert len(checkout.calls()) == len(STAGES)
    assert checkout.is_complete()


def test_a_killed_run_leaves_nothing_that_disturbs_the_next(checkout):
    process, pip = start_and_reach(checkout, "mmstack.txt")
    process.kill()
    process.wait(timeout=30)
    assert is_alive(pip)  # nobody could stop it; the next run has to
    checkout.calls()
    assert checkout.setup().returncode == 0
    assert not is_alive(pip)
    checkout.calls()
    assert checkout.is_complete()


def test_two_runs_wait_for_one_another(checkout):
    first, _ = start_and_reach(checkout, "mmstack.txt")
    second = checkout.start()
    assert "waiting for another setup.sh" in second.stdout.readline()
    assert second.poll() is None
    first.terminate()
    first.communicate(timeout=30)
    second.communicate(timeout=60)
    assert second.returncode == 0


# --- repair ---


def test_what_an_interruption_left_half_installed_is_installed_again(checkout):
    """pip writes INSTALLER last, and takes what has metadata for whole."""
    checkout.setup(FAKE_FAIL_AT="runtime.txt", FAKE_MESSAGE="no")
    site = checkout.root / ".venv" / "lib" / "python3.11" / "site-packages"
    for name in ("whole", "half"):
        (site / f"{name}-1.0.dist-info").mkdir(parents=True)
    (site / "whole-1.0.dist-info" / "INSTALLER").touch()
    assert checkout.setup().returncode == 0
    assert [info.name for info in site.glob("*.dist-info")] == ["whole-1.0.dist-info"]
